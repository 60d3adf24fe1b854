import DesiredStateTesting
import Testing

@Suite("The laws, tried on gRPC", .serialized, .timeLimit(.minutes(3)))
struct ConformanceTests {
  @Test("The backend keeps", arguments: Law.allCases) func keeps(law: Law) async throws {
    try await Conformance("GRPCBackend") { try await FleetFixture() }.check(law)
  }
}
