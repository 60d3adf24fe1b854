import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// What goes over the wire, and who is believed at the other end.
@Suite(.timeLimit(.minutes(3))) struct GitTransportTests {
  @Test func `a poll that finds nothing new is one short question, whatever else is in the repository`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let road = try await GitOverHTTP(repository)
    let device = try Device(repository, over: road)
    try await device.look()
    var sizes: [UInt64] = []
    for branches in [1, 5000] {
      if branches > 1 {
        let tip = try await repository.git("rev-parse", "main")
        let lines = (0..<branches).map { "create refs/heads/other-\($0) \(tip)\n" }.joined()
        try await repository.git(["update-ref", "--stdin"], input: Array(lines.utf8))
      }
      let before = try await road.requests()
      #expect(try await device.look() == nil)
      let asked = try await road.requests().dropFirst(before.count)
      #expect(asked.map(\.method) == ["POST"])
      sizes.append(asked.reduce(0) { $0 + $1.sent + $1.received })
    }
    #expect(sizes.allSatisfy { $0 <= 600 }, "\(sizes)")
    // The date of the answer may be a byte longer or shorter, as HTTP/2 packs it.
    #expect(max(sizes[0], sizes[1]) - min(sizes[0], sizes[1]) < 16)
    await road.tearDown()
  }

  @Test func `one changed document of 200 is fetched in two questions and a few kilobytes`() async throws {
    let repository = try await OperatorRepository()
    var documents: [String: [UInt8]] = [:]
    for number in 0..<200 { documents["document-\(number)"] = (0..<2000).map { _ in UInt8.random(in: 32...126) } }
    try await repository.commit(documents)
    let road = try await GitOverHTTP(repository)
    let device = try Device(repository, over: road)
    try await device.look()
    documents["document-7"] = (0..<2000).map { _ in UInt8.random(in: 32...126) }
    try await repository.commit(documents)
    let before = try await road.requests().count
    try await device.look()
    let asked = try await road.requests().dropFirst(before)
    #expect(asked.map(\.method) == ["POST", "POST"])
    // 2000 random bytes of 95 kinds pack into 1650; the rest is the commit with its signature and the tree's delta.
    #expect(asked.reduce(0) { $0 + $1.sent } < 4000, "\(asked)")
    await road.tearDown()
  }

  @Test func `the first poll at a long history fetches the newest commit alone`() async throws {
    let repository = try await OperatorRepository()
    for number in 0..<50 {
      try await repository.commit(["press": (0..<10_000).map { _ in UInt8.random(in: 0...255) } + [UInt8(number)]])
    }
    let road = try await GitOverHTTP(repository)
    try await Device(repository, over: road).look()
    #expect(try await road.requests().reduce(0) { $0 + $1.sent } < 16_000)
    await road.tearDown()
  }

  @Test func `a redirect that is over is not followed any more`() async throws {
    let repository = try await OperatorRepository()
    let flag = repository.folder["moved"]
    let road = try await GitOverHTTP(
      repository,
      directives: "if (-f \(flag)) { rewrite ^/old.git/info/refs$ /repository.git/info/refs redirect; }")
    try write("", to: flag)
    let device = Device(
      try GitBackend(
        try SourceAddress("\(road.address.replacingOccurrences(of: "repository", with: "old"))?ref=main"),
        context: BackendContext(device: "press-42", settings: road.settings)), policy: try repository.keys.policy())
    try await repository.commit(["press": "1"])
    #expect(try await device.look() == ["press": "1"])
    try FileManager.default.removeItem(atPath: flag)
    try FileManager.default.moveItem(atPath: repository.path, toPath: repository.folder["site/old.git"])
    _ = try await thrown(BackendError.self) { try await device.look() }
    #expect(try await device.look() == nil)
    await road.tearDown()
  }

  @Test func `an SSH host whose key is not the known one is not believed`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let road = try await GitOverSSH(repository)
    func look(key: String = "device", hosts: String, accepting: Bool = false) async throws -> FetchResult {
      let settings = BackendSettings {
        $0[.sshKey] = road.folder[key]
        $0[.knownHosts] = road.folder[hosts]
        $0[.acceptsNewHostKeys] = accepting
      }
      return try await GitBackend(
        try SourceAddress("\(road.address)?ref=main"), context: BackendContext(device: "press-42", settings: settings)
      ).fetch(FetchRequest())
    }
    let wrong = try await thrown(BackendError.self) {
      _ = try await look(hosts: "wrong_hosts")
    }
    #expect(wrong.code == .tlsUntrusted)
    #expect(!wrong.isRetryable)
    try write("", to: road.folder["empty_hosts"])
    let unknown = try await thrown(BackendError.self) {
      _ = try await look(hosts: "empty_hosts")
    }
    #expect(unknown.code == .tlsUntrusted)
    #expect(names(in: road.folder.path).contains("empty_hosts"))
    #expect(try contents(of: road.folder["empty_hosts"]).isEmpty)
    // By name: believed once, and kept to.
    #expect(try await look(hosts: "empty_hosts", accepting: true).state != nil)
    #expect(try !contents(of: road.folder["empty_hosts"]).isEmpty)
    let stranger = try await thrown(BackendError.self) {
      _ = try await look(key: "other-device", hosts: "known_hosts")
    }
    #expect(stranger.code == .unauthorized)
    await road.tearDown()
  }

  @Test func `a repository that is not there is unreachable on every road, and never absent`() async throws {
    let repository = try await OperatorRepository()
    let web = try await GitOverHTTP(repository)
    let ssh = try await GitOverSSH(repository)
    for road in [web, ssh, GitOnDisk(repository)] as [any TransportUnderTest] {
      let backend = try GitBackend(
        try SourceAddress(road.address.replacingOccurrences(of: "repository.git", with: "other.git")),
        context: BackendContext(device: "press-42", settings: road.settings))
      _ = try await thrown(BackendError.self) { _ = try await backend.fetch(FetchRequest()) }
      await road.tearDown()
    }
  }

  @Test(arguments: [
    "git+https://user:password@host/repository.git", "git+http://other.example/repository.git",
    "git+ssh://-oProxyCommand=x/repository.git", "git+ssh://host", "git+https://host/r.git?reff=main",
    "git+https://host/r.git?ref=a..b", "git+https://host/r.git?ref=a%0Ab", "git+https://host/r.git?path=../x",
    "git+https://host/r.git?history=none", "git+https:host/r.git", "git+https:///r.git",
  ])
  func `an address that cannot be used is refused in words, without its password`(address: String) throws {
    let error = #expect(throws: SourceAddressError.self) {
      try GitBackend(try SourceAddress(address), context: BackendContext(device: "press-42"))
    }
    #expect(error?.description.contains("password@") == false)
  }

  @Test func `the name of a source holds no user`() throws {
    let backend = try GitBackend(
      try SourceAddress("git+ssh://git@host/r.git?path=a&ref=main"), context: BackendContext(device: "press-42"))
    #expect(backend.source == "git+ssh://host/r.git?path=a&ref=main")
  }
}
