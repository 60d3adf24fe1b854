import DesiredStateTesting
import Testing

@Suite struct MockConformanceTests {
  @Test(arguments: Law.allCases) func `MockBackend keeps`(law: Law) async throws {
    try await Conformance("MockBackend", table: ConformanceTable("Documentation/Conformance.md")) { MockFixture() }
      .check(law)
  }
}
