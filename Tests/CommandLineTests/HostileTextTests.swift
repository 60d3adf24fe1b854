import Foundation
import HTTPTestSupport
import TestSupport
import Testing

/// That no text from outside reaches a terminal, a log or a program's reader as it came: from a manifest, a header, a path
/// or a repository.
@Suite(.timeLimit(.minutes(5))) struct HostileTextTests {
  /// ESC, the C1 form of CSI, a bidirectional override, and every kind of line break, each with a word behind it.
  static let poison = "a\u{1b}[2Jb\u{9b}31mc\u{202e}d\r\nFORGED\u{85}FORGED\u{2028}FORGED\u{2029}FORGED\u{7f}\u{8}"
  static let poisonInJSON = #"a\u001b[2Jb\u009b31mc\u202ed\r\nFORGED\u0085FORGED\u2028FORGED\u2029FORGED\u007f\b"#
  static let poisonInURL =
    "a%1B%5B2Jb%C2%9B31mc%E2%80%AEd%0D%0AFORGED%C2%85FORGED%E2%80%A8FORGED%E2%80%A9FORGED%7F%08"
  /// Without line breaks and NUL, for what ends at one: a header, a name in a commit.
  static let poisonInLine = "a\u{1b}[2Jb\u{9b}31mc\u{202e}d\u{2028}FORGED\u{2029}FORGED\u{7f}\u{8}"

  let site: Site
  init() throws { site = try Site() }

  /// Fails the test if anything printed could be taken for something else.
  private func expectClean(_ finished: Finished, _ what: String, at location: SourceLocation = #_sourceLocation) {
    for (stream, text) in [("output", finished.output), ("error", finished.complaint)] {
      let raw = text.unicodeScalars.filter { scalar in
        switch scalar.value {
        case 0x0a: false
        case 0..<0x20, 0x7f...0x9f, 0x202a...0x202e, 0x2066...0x2069, 0x200e, 0x200f, 0x2028, 0x2029, 0xfeff: true
        default: false
        }
      }
      #expect(
        raw.isEmpty,
        "\(what): standard \(stream) has \(raw.map { String($0.value, radix: 16) }) in \(text.debugDescription)",
        sourceLocation: location)
      let forged = text.split(separator: "\n").filter { $0.hasPrefix("FORGED") }
      #expect(
        forged.isEmpty, "\(what): standard \(stream) has a line of the source's: \(text.debugDescription)",
        sourceLocation: location)
    }
  }

  /// Follows a source in text and in JSON, with all of the log, and asks for the status after it.
  private func expectCleanFollowing(
    _ source: String, _ what: String, _ more: [String] = [], at location: SourceLocation = #_sourceLocation
  ) async throws {
    // A refusal is told once: each form has a store of its own.
    for form in [[], ["--json"]] {
      let store = site.root + "/store-\(UUID().uuidString)"
      let options = ["--accept-unsigned", "--device", "press-42"] + more + form
      let finished = try await Tool.run(
        Tool.desiredState, ["follow", source, "--store", store, "--once", "--verbose"] + options)
      expectClean(finished, "follow \(what)", at: location)
      #expect(!(finished.output + finished.complaint).isEmpty, "\(what)", sourceLocation: location)
      if form == ["--json"] {
        for line in finished.output.split(separator: "\n") {
          #expect(throws: Never.self, "\(what): \(line)", sourceLocation: location) {
            try JSONSerialization.jsonObject(with: Data(line.utf8))
          }
        }
      }
      expectClean(
        try await Tool.run(Tool.desiredState, ["status", "--store", store] + form), "status of \(what)", at: location)
      expectClean(try await Tool.run(Tool.desiredState, ["fetch", source] + options), "fetch \(what)", at: location)
    }
  }

  // MARK: - A manifest

  static let manifests: [(field: String, text: String)] = {
    let digest = "sha256:" + String(repeating: "0", count: 64)
    func manifest(_ deployments: String, _ extensions: String = "", bundle: String = "null", version: String = "1")
      -> String
    {
      #"{"manifestVersion": \#(version), "bundle": \#(bundle), "deployments": [\#(deployments)]\#(extensions.isEmpty ? "" : #", "x-desired-state-extensions": {\#(extensions)}"#)}"#
    }
    func deployment(_ id: String = "press", digest: String = digest, url: String = "documents/x", size: String = "1")
      -> String
    {
      #"{"deploymentId": "\#(id)", "digest": "\#(digest)", "sizeBytes": \#(size), "url": "\#(url)"}"#
    }
    let poison = poisonInJSON
    return [
      ("manifestVersion", manifest(deployment(), version: "\"\(poison)\"")),
      ("deploymentId", manifest(deployment(poison))),
      ("deploymentId, given twice", manifest(deployment(poison) + "," + deployment(poison))),
      ("deploymentId, beside a longer one", manifest(deployment(poison) + "," + deployment(poison + "/x"))),
      ("digest", manifest(deployment(digest: "sha256:\(poison)"))),
      ("digest of another algorithm", manifest(deployment(digest: "\(poison):00"))),
      ("url", manifest(deployment(url: poison))),
      ("url that leads away", manifest(deployment(url: "../\(poison)"))),
      ("sizeBytes", manifest(deployment(size: "\"\(poison)\""))),
      ("bundle's mediaType", manifest("", bundle: #"{"mediaType": "\#(poison)", "digest": "\#(digest)", "url": "x"}"#)),
      ("bundle's digest", manifest("", bundle: #"{"mediaType": "x", "digest": "\#(poison)", "url": "x"}"#)),
      (
        "bundle's url",
        manifest(deployment(), bundle: #"{"mediaType": "x", "digest": "\#(digest)", "url": "\#(poison)"}"#)
      ),
      ("device", manifest(deployment(), #""device": "\#(poison)""#)),
      ("issued", manifest(deployment(), #""issued": "\#(poison)""#)),
      ("expires", manifest(deployment(), #""expires": "\#(poison)""#)),
      ("trust", manifest(deployment(), #""trust": "\#(poison)""#)),
      ("a key", #"{"\#(poison)": 1, "\#(poison)": 2}"#),
      ("no JSON at all", HostileTextTests.poison),
      ("JSON that ends too soon", "{\"manifestVersion\": \(HostileTextTests.poison)"),
    ]
  }()

  @Test("Hostile text in a manifest", arguments: manifests.map(\.field))
  func manifest(field: String) async throws {
    let text = try #require(Self.manifests.first { $0.field == field }?.text)
    try site.write(text, to: "drop/manifest.json")
    try await expectCleanFollowing(site.drop, field)
    expectClean(
      try await Tool.run(Tool.desiredState, ["verify", site.drop, "--accept-unsigned", "--device", "press-42"]), field)
  }

  // MARK: - A path

  @Test("Hostile text in the path of a drop, a document and a setting's file") func paths() async throws {
    let drop = site.root + "/" + Self.poison
    try await expectCleanFollowing(drop, "a path that is not there")
    try site.write("{", to: drop + "/manifest.json")
    try await expectCleanFollowing(drop, "a drop's path")
    try site.write("press: 1\n", to: "plain/" + Self.poisonInLine)
    try await expectCleanFollowing(site.root + "/plain", "a document's path")
    try site.write("press: 1\n", to: "folder/" + Self.poison + "/press.yaml")
    try await expectCleanFollowing(site.root + "/folder", "the path of a document's folder")
    for option in ["--trust", "--token-file", "--tls-ca", "--tls-cert", "--request-key"] {
      let finished = try await Tool.run(
        Tool.desiredState,
        ["fetch", "https://127.0.0.1:1/manifest.json", option, drop + "/missing"]
          + (option == "--trust" ? [] : ["--accept-unsigned"]))
      expectClean(finished, option)
      #expect(finished.status != 0)
    }
    expectClean(try await Tool.run(Tool.desiredState, ["status", "--store", drop]), "the store's path")
    expectClean(
      try await Tool.run(Tool.desiredState, ["publish", drop + "/missing", "--to", drop + "/manifest.json"]), "publish")
  }

  // MARK: - HTTP

  @Test(
    "Hostile text in what a web server says",
    arguments: [
      ("its entity tag", "tagged,tag=%22\(poisonInLineURL)%22"),
      ("its content type", "typed,type=text|html;a=\(poisonInLineURL)"),
      ("a place it redirects to", "redirect,to=https:||127.0.0.1:1|\(poisonInLineURL)"),
      ("how long to wait", "refuse,code=503,after=\(poisonInLineURL)"),
      ("its refusal", "refuse,code=401%20\(poisonInLineURL)"),
      ("its login page", "typed,type=application|json"),
    ])
  func headers(what: String, behaviour: String) async throws {
    try site.write(Self.poison, to: "drop/manifest.json")
    let server = try await PythonServer.start("hostile", ["--root", site.root])
    try await expectCleanFollowing(
      "http://127.0.0.1:\(server.port)/at/drop/\(behaviour)/drop/manifest.json", what, ["--insecure-http"])
    try await expectCleanFollowing(
      "margo+http://127.0.0.1:\(server.port)/at/api/\(behaviour)", "a manager: " + what,
      ["--insecure-http"])
  }

  private static let poisonInLineURL =
    "a%1B%5B2Jb%C2%9B31mc%E2%80%AEd%E2%80%A8FORGED%7F"

  // MARK: - Git

  @Test("Hostile text in a repository: a subject, an author, a file's name, a reference") func repository() async throws
  {
    let repository = site.root + "/repository"
    let identity = [
      "-c", "user.name=\(Self.poisonInLine)", "-c", "user.email=a\u{9b}b@plant.example", "-c", "core.quotePath=false",
    ]
    try await Tool.succeed("git", ["init", "-q", "-b", "main", repository])
    try site.write("press: 1\n", to: repository + "/press.yaml")
    try await Tool.succeed("git", identity + ["-C", repository, "add", "-A"])
    try await Tool.succeed("git", identity + ["-C", repository, "commit", "-q", "-m", Self.poison])
    try await expectCleanFollowing("git+file://\(repository)?ref=main", "a commit")
    try await expectCleanFollowing("git+file://\(repository)?ref=\(Self.poisonInURL)", "a reference that is not there")
    try await expectCleanFollowing(
      "git+file://\(repository)?ref=main&path=\(Self.poisonInURL)", "a path that is not there")
    try site.write("press: 1\n", to: repository + "/" + Self.poison)
    try await Tool.succeed("git", identity + ["-C", repository, "add", "-A"])
    try await Tool.succeed("git", identity + ["-C", repository, "commit", "-q", "-m", "a file"])
    try await expectCleanFollowing("git+file://\(repository)?ref=main", "the name of a file")
    try await expectCleanFollowing(
      "git+file://\(repository)-\(Self.poisonInURL)?ref=main", "a repository that is not there")
  }

  @Test("Hostile text in what a git server says") func gitServer() async throws {
    // A pkt-line of the Git protocol: four hexadecimal digits of the length, then the line.
    let line = "ERR \(Self.poisonInLine)\n"
    let length = String(line.utf8.count + 4, radix: 16)
    try site.write(String(repeating: "0", count: 4 - length.count) + length + line, to: "states/info/refs")
    let server = try await PythonServer.start("hostile", ["--root", site.root])
    for behaviour in [
      "typed,type=application|x-git-upload-pack-advertisement", "typed,type=text|plain",
      "refuse,code=403%20\(Self.poisonInLineURL)", "redirect,to=https:||127.0.0.1:1|\(Self.poisonInLineURL)",
    ] {
      try await expectCleanFollowing(
        "git+http://127.0.0.1:\(server.port)/at/states/\(behaviour)/states?ref=main", behaviour, ["--insecure-http"])
    }
  }
}
