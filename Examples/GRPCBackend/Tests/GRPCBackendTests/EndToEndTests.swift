import DesiredState
import DesiredStateTesting
import Foundation
import GRPCBackend
import Glibc
import Testing

@Suite("A source by gRPC") struct EndToEndTests {
  private func source(_ address: String) throws -> String {
    var registry = BackendRegistry()
    GRPCBackend.register(in: &registry)
    return try registry.backend(for: address, context: BackendContext(device: "press-42")).source
  }

  @Test(
    "is named in one way, however it is written",
    arguments: [
      ("grpc://fleet.example/press-42", "grpc://fleet.example:50051/press-42"),
      ("GRPCS://fleet.example/press-42", "grpcs://fleet.example:443/press-42"),
    ]) func name(address: String, source: String) throws
  {
    #expect(try self.source(address) == source)
  }

  @Test(
    "is refused, without being shown, if it cannot be honoured in full",
    arguments: [
      "grpc:", "grpc://fleet.example", "grpc://fleet.example/", "grpc://user:secret@fleet.example/press-42",
      "grpc://fleet.example/press-42?token=secret",
    ]) func refusal(address: String) throws
  {
    let error = #expect(throws: SourceAddressError.self) { try source(address) }
    #expect(error?.description.contains("secret") == false)
  }

  @Test("hints at a publication", .timeLimit(.minutes(1))) func hints() async throws {
    let fixture = try await FleetFixture()
    let backend = try await fixture.makeBackend()
    var hints = try #require(backend.changeHints()).makeAsyncIterator()
    // A watch begins with a hint.
    #expect(await hints.next() != nil)
    try await fixture.publish(
      TestPublication(version: 1, documents: ["press": Array("recipe: 7".utf8)], signers: [Conformance.signer]))
    #expect(await hints.next() != nil)
    await fixture.tearDown()
  }

  @Test("may be a server in Python", .timeLimit(.minutes(1))) func python() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "fleet-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    let publication = TestPublication(
      version: 3, documents: ["press": Array("recipe: 7".utf8)], signers: [Conformance.signer])
    for file in publication.files {
      let path = directory.appending(path: "press-42/\(file.path)")
      try FileManager.default.createDirectory(at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(file.bytes).write(to: path)
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = [
      URL(filePath: #filePath).appending(path: "../../../python/server.py").standardized.path, directory.path, "0",
    ]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    // Not waited for: that blocks one of the threads that all tests share.
    defer { kill(process.processIdentifier, SIGKILL) }
    let port = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let backend = try GRPCBackend(SourceAddress("grpc://127.0.0.1:\(port)/press-42"), isEncrypted: false)
    guard case .changed(let state) = try await backend.fetch(FetchRequest()).outcome else {
      Issue.record("nothing came")
      return
    }
    let verified = try await backend.verify(
      state, with: Verifier(policy: TestSigner.policy([Conformance.signer]), device: "press-42", now: Date()))
    #expect(verified.manifest.version == 3)
    guard case .unchanged = try await backend.fetch(FetchRequest(current: state.revision)).outcome else {
      Issue.record("the same state came again")
      return
    }
  }
}
