import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// Servers with manners of their own: old ones, other implementations, forges, and such that think for a while.
@Suite(.timeLimit(.minutes(3))) struct ServerMannersTests {
  private func device(
    _ repository: OperatorRepository, _ server: ScriptedServer, _ fill: (inout BackendSettings) -> Void = { _ in }
  ) throws -> Device {
    var settings = BackendSettings()
    fill(&settings)
    return Device(
      try GitBackend(
        try SourceAddress("\(server.address)?ref=main"), context: BackendContext(device: "press-42", settings: settings)
      ),
      policy: try repository.keys.policy())
  }

  @Test(arguments: [
    ["old"], ["old", "agent"], ["without=object-format"], ["version0"], ["version0", "without=shallow"],
    ["version0", "without=side-band-64k"], ["version0", "without=side-band-64k", "without=side-band"],
    ["version0", "without=thin-pack", "without=ofs-delta", "without=no-progress"],
    ["version0", "without=multi_ack_detailed"], ["version0", "without=multi_ack_detailed", "without=multi_ack"],
  ])
  func `a server that dies of what it did not offer is followed`(manners: [String]) async throws {
    let repository = try await OperatorRepository()
    let server = try await ScriptedServer(repository, manners)
    let device = try device(repository, server)
    for number in 1...3 {
      try await repository.commit(["press": "\(number)"])
      #expect(try await device.look() == ["press": "\(number)"])
    }
    // More than one commit between two polls: their history is asked for.
    for number in 4...6 { try await repository.commit(["press": "\(number)"]) }
    #expect(try await device.look() == ["press": "6"])
    #expect(try await device.look() == nil)
    #expect(!server.log.contains { $0.hasPrefix("died") }, "\(server.log)")
    await server.tearDown()
  }

  @Test func `receipts reach a server that dies of what it did not offer`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    for manners in [["agent"], ["without=side-band-64k"]] {
      let server = try await ScriptedServer(repository, manners)
      try await device(repository, server).backend.acknowledge(acknowledgement(manners[0]))
      #expect(!server.log.contains { $0.hasPrefix("died") }, "\(server.log)")
      await server.tearDown()
    }
  }

  @Test func `a server of dulwich is followed, and takes receipts`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let port = Endpoint.reservedPort()
    // Debian's own Python, which has the package.
    let server = ServerProcess(
      ["/usr/bin/python3", "-m", "dulwich.web", "-l", "127.0.0.1", "-p", "\(port)", repository.path],
      listeningAt: [.port(port)], output: repository.folder["dulwich"])
    try await server.start()
    let device = Device(
      try GitBackend(
        try SourceAddress("git+http://127.0.0.1:\(port)/?ref=main"), context: BackendContext(device: "press-42")),
      policy: try repository.keys.policy())
    #expect(try await device.look() == ["press": "1"])
    for number in 2...4 { try await repository.commit(["press": "\(number)"]) }
    #expect(try await device.look() == ["press": "4"])
    #expect(try await device.look() == nil)
    try await server.stop()
  }

  // MARK: - Thinking

  @Test func `keepalives are life, and silence is not, by the stall limit that is set`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let thinking = try await ScriptedServer(repository, ["thinking=3"])
    #expect(
      try await device(repository, thinking) { $0[.stallLimit] = .seconds(1) }.look() == ["press": "1"])
    await thinking.tearDown()
    let silent = try await ScriptedServer(repository, ["silent=8"])
    let error = try await thrown(BackendError.self) {
      try await device(repository, silent) { $0[.stallLimit] = .seconds(1) }.look()
    }
    #expect(error.code == .timeout)
    await silent.tearDown()
  }

  @Test func `a push whose answer is lost is looked up before it is called failed`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let server = try await ScriptedServer(repository, ["forget"])
    try await device(repository, server).backend.acknowledge(acknowledgement("press"))
    #expect(try await repository.git("rev-list", "--count", "acknowledgements/press-42") == "1")
    await server.tearDown()
  }

  // MARK: - Words

  @Test func `a forge that wants to see credentials is an error that mentions them`() async throws {
    let repository = try await OperatorRepository()
    let server = try await ScriptedServer(repository, ["login"])
    let error = try await thrown(BackendError.self) { try await device(repository, server).look() }
    #expect(error.message.contains("credentials"), "\(error)")
    await server.tearDown()
  }

  @Test(arguments: [Way.https, .ssh])
  func `the words of a hook that refuses are shown, quoted, and not asked for again`(way: Way) async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    try write(
      "#!/bin/sh\necho 'GL-HOOK-ERR: no \u{1B}[31mreceipts here' >&2\nexit 1\n",
      to: repository.path + "/hooks/pre-receive")
    try await run(["chmod", "+x", repository.path + "/hooks/pre-receive"])
    let road = try await way.road(to: repository)
    let device = try Device(repository, over: road)
    let error = try await thrown(BackendError.self) { try await device.backend.acknowledge(acknowledgement("press")) }
    #expect(error.code == .forbidden)
    #expect(error.message.contains("GL-HOOK-ERR: no") && !error.message.contains("\u{1B}"), "\(error)")
    #expect(error.message.contains("receipts=none"))
    #expect(try #require(error.retryAfter) > .seconds(3000))
    // The hook would take it now; it is not tried so soon.
    try FileManager.default.removeItem(atPath: repository.path + "/hooks/pre-receive")
    let again = try await thrown(BackendError.self) { try await device.backend.acknowledge(acknowledgement("press")) }
    #expect(again.code == .forbidden)
    await road.tearDown()
  }

  @Test func `an address with receipts=none takes none`() async throws {
    let backend = try GitBackend(
      try SourceAddress("git+https://host/r.git?receipts=none"), context: BackendContext(device: "press-42"))
    #expect(backend.capabilities == [])
    let error = try await thrown(BackendError.self) { try await backend.acknowledge(acknowledgement("press")) }
    #expect(error.code == .unsupported)
  }

  @Test func `commits bear the author that is set, or the device`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    for (author, expected) in [("Ops <ops@plant.example>", "Ops <ops@plant.example>")] {
      let backend = try GitBackend(
        try SourceAddress("git+file://\(repository.path)?ref=main"),
        context: BackendContext(device: "press-42", settings: BackendSettings { $0[.author] = author }))
      try await backend.acknowledge(acknowledgement("press"))
      #expect(try await repository.git("log", "-1", "--format=%an <%ae>", "acknowledgements/press-42") == expected)
    }
    #expect(throws: SourceAddressError.self) {
      try GitBackend(
        try SourceAddress("git+file:///r.git"),
        context: BackendContext(device: "press-42", settings: BackendSettings { $0[.author] = "Ops" }))
    }
  }

  private func acknowledgement(_ document: String) -> Acknowledgement {
    Acknowledgement(
      device: "press-42", revision: nil, adoptedManifestVersion: 1, time: Date(),
      outcome: .document(DocumentStatus(documentID: document, state: .installed)))
  }
}
