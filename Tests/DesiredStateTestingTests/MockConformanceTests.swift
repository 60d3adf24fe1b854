import DesiredStateTesting
import Testing

@Suite struct MockConformanceTests {
  @Test(arguments: Law.allCases) func `MockBackend keeps`(law: Law) async throws {
    try await Conformance("MockBackend") { MockFixture() }.check(law)
  }
}
