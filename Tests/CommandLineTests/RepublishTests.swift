import Foundation
import Testing

@Suite("publish --dry-run, --renew, --from, --devices, --message; sign", .timeLimit(.minutes(5)))
struct RepublishTests {
  let site = try! Site()

  private func publish(_ options: String..., to target: String? = nil) async throws -> Finished {
    try await Tool.run(Tool.desiredState, ["publish", "--to", target ?? site.drop, "--json"] + options)
  }

  private func manifest(_ drop: String? = nil) throws -> Manifest {
    try JSONDecoder().decode(Manifest.self, from: Data(try site.read((drop ?? site.drop) + "/manifest.json").utf8))
  }

  private struct Manifest: Decodable {
    struct Document: Decodable {
      var deploymentId: String
      var digest: String
    }
    struct Extensions: Decodable {
      var device: String?
      var issued: String?
      var expires: String?
      var message: String?
    }
    var manifestVersion: Int
    var deployments: [Document]
    var extensions: Extensions
    enum CodingKeys: String, CodingKey {
      case manifestVersion, deployments
      case extensions = "x-desired-state-extensions"
    }
  }

  private func time(_ text: String?) throws -> Date { try Date(#require(text), strategy: .iso8601) }

  /// A directory, and a branch of a repository.
  private func targets() async throws -> [String] {
    let repository = site.root + "/repository.git"
    try await Tool.succeed("git", ["init", "-q", "--bare", "-b", "main", repository])
    return [site.drop, "git+file://\(repository)?ref=main&path=sites/north"]
  }

  private func documents(_ source: String) async throws -> [String: String] {
    let output = site.root + "/output"
    try? site.remove(output)
    try await Tool.succeed(
      Tool.desiredState, ["fetch", source, "--output", output, "--trust", site.trust, "--device", "press-42"])
    return try site.files(below: output)
  }

  @Test("A dry run says what would change, document by document, and changes nothing") func dryRun() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    for target in try await targets() {
      try? site.remove(site.documents)
      try site.write("1", to: "documents/a")
      try site.write("1", to: "documents/b")
      let first = try await publish(site.documents, "--key", key, "--dry-run", to: target)
      #expect(first.status == 0 && first.output.contains("planned"), "\(first)")
      #expect(try await Tool.run(Tool.desiredState, ["fetch", target, "--trust", site.trust]).status != 0)
      try await site.publish(keys: [key], to: target)
      try site.write("2", to: "documents/a")
      try site.remove(site.documents + "/b")
      try site.write("1", to: "documents/c")
      let text = try await Tool.succeed(
        Tool.desiredState, ["publish", site.documents, "--to", target, "--key", key, "--dry-run"])
      let lines = text.split(separator: "\n")
      try #require(lines.count == 4, "\(text)")
      #expect(lines[0].hasPrefix("- b") && lines[1].hasPrefix("~ a") && lines[2].hasPrefix("+ c"))
      #expect(lines[3].contains("planned") && lines[3].contains("version 2"))
      #expect(try await documents(target) == ["a": "1", "b": "1"])
    }
    #expect(try !site.files(below: site.drop + "/documents").values.contains("2"))
  }

  @Test("A renewed state has the same documents and device, and lasts as long again; another's words are not signed")
  func renew() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let thief = try await site.makeKey("thief")
    for target in try await targets() {
      try site.write("1", to: "documents/a")
      try await site.publish(keys: [key], to: target, "--device", "press-42", "--expires", "30d")
      let run = try await publish("--renew", "--key", key, to: target)
      #expect(run.status == 0 && run.events.last?.version == 2, "\(run)")
      #expect(try await documents(target) == ["a": "1"])
      let stranger = try await publish("--renew", "--key", thief, to: target)
      #expect(stranger.status == 1 && stranger.complaint.contains("--trust"), "\(stranger)")
    }
    let renewed = try manifest()
    #expect(renewed.extensions.device == "press-42")
    #expect(try time(renewed.extensions.expires).timeIntervalSince(time(renewed.extensions.issued)) == 30 * 86400)
    // A manifest that was put there, as the one who renews by a timer would sign it.
    let forged = try site.read(site.drop + "/manifest.json").replacing("press-42", with: "press-66")
    try site.write(forged, to: site.drop + "/manifest.json")
    let laundered = try await publish("--renew", "--key", key)
    #expect(laundered.status == 1 && laundered.complaint.contains("no signature"), "\(laundered)")
    #expect(try site.read(site.drop + "/manifest.json") == forged)
    let unknown = try await publish("--renew", "--key", key, to: site.root + "/nowhere")
    #expect(unknown.status == 1)
  }

  @Test(
    "An earlier version is published as a new one, which devices adopt; one that is gone is told with those that are left"
  )
  func from() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    for target in try await targets() {
      for version in 1...3 {
        try site.write("\(version)", to: "documents/a")
        try await site.publish(keys: [key], to: target)
      }
      #expect(try await publish("--from", "1", "--dry-run", "--key", key, to: target).output.contains("modified"))
      #expect(try await documents(target) == ["a": "3"])
      let run = try await publish("--from", "1", "--key", key, "--message", "3 was bad", to: target)
      #expect(run.status == 0 && run.events.last?.version == 4, "\(run)")
      #expect(try await documents(target) == ["a": "1"])
      let gone = try await publish("--from", "9", "--key", key, to: target)
      #expect(gone.status == 1 && gone.complaint.contains("1, 2, 3, 4"), "\(gone)")
    }
    #expect(try manifest().extensions.message == "3 was bad")
    let log = try await Tool.succeed(
      "git", ["--git-dir", site.root + "/repository.git", "log", "-1", "--format=%s", "main"])
    #expect(log == "3 was bad\n")
    // Forged, or pruned.
    try site.write(
      try site.read(site.drop + "/history/2.json").replacing("}\n", with: "}\n\n"), to: site.drop + "/history/2.json")
    #expect(try await publish("--from", "2", "--key", key).status == 1)
    try site.write("4", to: "documents/a")
    try await site.publish(keys: [key], to: nil, "--prune")
    let pruned = try await publish("--from", "1", "--key", key)
    #expect(pruned.status == 1 && pruned.complaint.contains("published again: 5"), "\(pruned)")
  }

  @Test("A second person signs later: refused for the threshold before, adopted after") func sign() async throws {
    let first = try await site.makeKey("first", trustedAs: "ops")
    let second = try await site.makeKey("second", trustedAs: "safety")
    for target in try await targets() {
      try? site.remove(site.store)
      try site.write("1", to: "documents/a")
      try await site.publish(keys: [first], to: target)
      let follow = { try await site.follow(target, trust: ["--trust", site.trust, "--threshold", "2"]) }
      #expect(try await follow().events.last { $0.event == "rejected" }?.code == "threshold-not-met")
      for (word, count) in [("signed", 2), ("unchanged", 2)] {
        let run = try await Tool.run(
          Tool.desiredState, ["sign", target, "--key", second, "--json", "--trust", site.trust])
        #expect(run.status == 0 && run.names == [word], "\(run)")
        #expect(run.output.matches(of: /SHA256:/).count == count)
      }
      let run = try await follow()
      #expect(run.status == 0 && run.names.contains("applied"), "\(run)")
    }
    // Nothing is signed that a device could not adopt.
    let file = try #require(try site.files(below: site.drop + "/documents").keys.first)
    try site.write("x", to: site.drop + "/documents/" + file)
    let third = try await site.makeKey("third")
    let run = try await Tool.run(Tool.desiredState, ["sign", site.drop, "--key", third])
    #expect(run.status == 1 && run.complaint.contains("\"a\""), "\(run)")
  }

  @Test("Several devices' drops come from one tree, share files, and stay as they are where nothing changed")
  func devices() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let list = site.root + "/devices"
    try site.write("# line 4\npress-42 common press\n\nsaw-1\tcommon saw # the old one\n", to: list)
    try site.write("c", to: "documents/common/base")
    try site.write("p", to: "documents/press/app")
    try site.write("s", to: "documents/saw/app")
    for target in try await targets() {
      func source(_ device: String) -> String {
        target.hasPrefix("git") ? "\(target)/\(device)" : "\(target)/\(device)"
      }
      let first = try await publish(site.documents, "--devices", list, "--key", key, to: target)
      #expect(first.status == 0 && first.events.map(\.device) == ["press-42", "saw-1"], "\(first)")
      try site.write("p2", to: "documents/press/app")
      let planned = try await publish(site.documents, "--devices", list, "--key", key, "--dry-run", to: target)
      #expect(planned.status == 0 && planned.output.contains("modified"), "\(planned)")
      let second = try await publish(site.documents, "--devices", list, "--key", key, to: target)
      #expect(second.names == ["published", "unchanged"] && second.events.map(\.version) == [2, 1], "\(second)")
      #expect(try await documents(source("press-42")) == ["base": "c", "app": "p2"])
      let other = try await Tool.run(
        Tool.desiredState, ["fetch", source("saw-1"), "--json", "--trust", site.trust, "--device", "press-42"])
      #expect(other.events.last?.code == "wrong-device", "\(other)")
      try site.write("p", to: "documents/press/app")
    }
    let base = "documents/sha256-\(try await site.sha256("c"))"
    let links = try ["press-42", "saw-1"].map {
      try FileManager.default.attributesOfItem(atPath: "\(site.drop)/\($0)/\(base)")[.systemFileNumber] as? Int
    }
    #expect(links[0] == links[1])
    let commits = try await Tool.succeed(
      "git", ["--git-dir", site.root + "/repository.git", "log", "--format=%s", "main"])
    #expect(commits == "Publish version 2\nPublish 2 drops\n")
    try site.write("press-42 ../etc\n", to: list)
    let outside = try await publish(site.documents, "--devices", list)
    #expect(outside.status == 64 && outside.complaint.contains("devices:1: "), "\(outside)")
  }
}
