import Foundation
import HTTPTestSupport
import TestSupport
import Testing

/// Trust updates over transports that change: the server today, a stick tomorrow.
@Suite(.timeLimit(.minutes(3))) struct `Trust updates over HTTP and by stick` {
  private let site: Site
  private let nginx: Nginx
  private let roots: [String]
  private let releases: [String]

  init() async throws {
    let site = try Site()
    self.site = site
    let certificates = try await Certificates.shared.value
    nginx = try await Nginx.start(ports: 1) { nginx in
      NginxServer.server(
        .plain, port: nginx.ports[0], certificates,
        "root \(site.root); access_log \(nginx.directory["access.log"]) lines;")
    }
    var roots: [String] = []
    var releases: [String] = []
    for number in 0...5 {
      roots.append(try await site.makeKey("root-\(number)"))
      releases.append(try await site.makeKey("release-\(number)"))
    }
    (self.roots, self.releases) = (roots, releases)
  }

  private var url: String { "http://localhost:\(nginx.ports[0])/drop/manifest.json" }

  private func signers(_ number: Int, name: String = "signers", root: String? = nil) throws -> String {
    func key(_ path: String) throws -> String {
      try site.read(path + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
    }
    let path = "\(site.root)/\(name)-\(number)"
    try site.write(
      "root namespaces=\"desired-state-trust\" \(try key(root ?? roots[number]))\n"
        + "release namespaces=\"desired-state\" \(try key(releases[number]))\n", to: path)
    return path
  }

  private func publish(_ number: Int, to drop: String? = nil) async throws {
    try site.write("press: \(number)\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [releases[number]], to: drop)
  }

  private func rotate(to number: Int, drop: String? = nil) async throws {
    try await Tool.succeed(
      Tool.desiredState,
      [
        "trust", "publish", "--to", drop ?? site.drop, "--signers", try signers(number), "--key", roots[number - 1],
        "--key", roots[number],
      ])
  }

  @Test func `an update costs two requests once, and a poll that finds nothing new costs one`() async throws {
    let trust = try signers(0)
    try await publish(0)
    #expect(try await site.follow(url, trust: ["--trust", trust]).status == 0)
    var before = try await nginx.requests().count
    func asked() async throws -> [String] {
      let all = try await nginx.requests().map(\.path)
      defer { before = all.count }
      return Array(all[before...])
    }
    try await rotate(to: 1)
    try await publish(1)
    let run = try await site.follow(url, trust: ["--trust", trust])
    #expect(run.status == 0, "\(run)")
    #expect(try await asked().filter { $0.contains("/trust/") } == ["/drop/trust/1.json", "/drop/trust/1.json.sig"])
    #expect(try await site.follow(url, trust: ["--trust", trust]).names == ["unchanged"])
    #expect(try await asked() == ["/drop/manifest.json"])
    // A new version that needs no other trust asks for none.
    try await publish(1)
    #expect(try await site.follow(url, trust: ["--trust", trust]).status == 0)
    #expect(try await asked().filter { $0.contains("/trust/") }.isEmpty)
  }

  @Test func `a device that was off for five rotations comes back by a stick, and goes on over HTTP`() async throws {
    let trust = try signers(0)
    try await publish(0)
    #expect(try await site.follow(url, trust: ["--trust", trust]).status == 0)
    for number in 1...4 { try await rotate(to: number) }
    try await publish(4)
    let bundle = site.root + "/stick/drop.tar.gz"
    try FileManager.default.createDirectory(atPath: site.root + "/stick", withIntermediateDirectories: true)
    try await Tool.succeed(
      Tool.desiredState,
      [
        "publish", site.documents, "--to", bundle, "--key", releases[4], "--version", "2", "--trust-updates", site.drop,
      ])
    try await nginx.stop()
    let stick = try await site.follow(bundle, trust: ["--trust", trust])
    #expect(stick.status == 0, "\(stick)")
    #expect(try site.read(site.current + "/press.yaml") == "press: 4\n")
    try await nginx.start()
    try await rotate(to: 5)
    try site.write("press: 5\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [releases[5]], "--version", "3")
    let run = try await site.follow(url, trust: ["--trust", trust])
    #expect(run.status == 0, "\(run)")
    #expect(try site.read(site.current + "/press.yaml") == "press: 5\n")

    // A chain that parts from the one that was followed: the number at which it does is said.
    let fork = site.root + "/fork"
    for number in 1...2 {
      try FileManager.default.createDirectory(atPath: fork + "/trust", withIntermediateDirectories: true)
      for ending in ["json", "json.sig"] {
        try site.write(
          try site.read(site.drop + "/trust/\(number).\(ending)"), to: fork + "/trust/\(number).\(ending)")
      }
    }
    // The third root key, stolen, leads the chain elsewhere.
    let stolen = try signers(3, name: "stolen", root: roots[2])
    for _ in 3...6 {
      try await Tool.succeed(
        Tool.desiredState, ["trust", "publish", "--to", fork, "--signers", stolen, "--key", roots[2]])
    }
    try site.write("press: 666\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [releases[3]], to: fork, "--version", "9")
    let refused = try await site.follow(fork, trust: ["--trust", trust])
    #expect(refused.status == 3 && refused.output.contains("trust-invalid"), "\(refused)")
    #expect(refused.output.contains("trust update 3 is another one"), "\(refused.output)")
    #expect(try site.read(site.current + "/press.yaml") == "press: 5\n")
  }
}
