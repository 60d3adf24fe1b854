import DesiredStateTesting
import GitTestSupport
import Testing

@Suite(.serialized) struct GitConformanceTests {
  let table = ConformanceTable("Documentation/Conformance.md")

  @Test(arguments: Law.allCases) func `a drop in a repository on a disk keeps`(law: Law) async throws {
    try await Conformance("GitBackend, drop on a disk", table: table) {
      let repository = try await OperatorRepository()
      return RepositoryFixture(repository, GitOnDisk(repository), .drop)
    }.check(law)
  }

  @Test(arguments: Law.allCases) func `a plain tree in a repository on a disk keeps`(law: Law) async throws {
    try await Conformance("GitBackend, tree on a disk", table: table) {
      let repository = try await OperatorRepository()
      return RepositoryFixture(repository, GitOnDisk(repository), .plain)
    }.check(law)
  }

  @Test(arguments: Law.allCases) func `a drop in a repository over HTTPS keeps`(law: Law) async throws {
    try await Conformance("GitBackend, drop over HTTPS", table: table) {
      let repository = try await OperatorRepository()
      return RepositoryFixture(repository, try await GitOverHTTP(repository), .drop)
    }.check(law)
  }

  @Test(arguments: Law.allCases) func `a plain tree in a repository over HTTPS keeps`(law: Law) async throws {
    try await Conformance("GitBackend, tree over HTTPS", table: table) {
      let repository = try await OperatorRepository()
      return RepositoryFixture(repository, try await GitOverHTTP(repository), .plain)
    }.check(law)
  }

  @Test(arguments: Law.allCases) func `a plain tree in a repository over SSH keeps`(law: Law) async throws {
    // A poll is two connections, each of them a process here and two there.
    try await Conformance("GitBackend, tree over SSH", operationTimeout: .seconds(20), table: table) {
      let repository = try await OperatorRepository()
      return RepositoryFixture(repository, try await GitOverSSH(repository), .plain)
    }.check(law)
  }
}
