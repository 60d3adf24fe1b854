import DesiredState
import DesiredStateTesting
import MargoDeployments
import MargoDocuments
import TestSupport
import Testing

@Suite("Documents in YAML")
struct DocumentYAMLTests {
  private struct Settings: Decodable, Equatable {
    var celsius: Int
    var zones: [String]
    var answer: String
  }

  @Test("YAML becomes a value of the agent's type, by the core schema, and rubbish says so") func decode() async throws
  {
    let agent = Agent()
    let backend = MockBackend()
    backend.publish(["a": "celsius: 210\nzones: [a, b]\nanswer: yes\n", "b": "a: &x [1]\nb: [*x, *x\n"])
    _ = try await agent.cycle([backend], policy: backend.policy)
    let documents = try #require(agent.updates.withLock { $0.last }?.documents)
    let value = try await documents[0].decodeYAML(Settings.self)
    #expect(value == Settings(celsius: 210, zones: ["a", "b"], answer: "yes"))
    let error = await #expect(throws: MargoDocumentError.self) { try await documents[1].decodeYAML(Settings.self) }
    #expect(error.map { "\($0)" }?.contains("\"b\"") == true)
  }
}
