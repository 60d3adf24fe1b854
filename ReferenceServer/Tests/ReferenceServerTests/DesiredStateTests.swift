import DesiredState
import DropPublisher
import Foundation
import HTTPTypes
import Synchronization
import Testing

@testable import ReferenceServer

/// Both forms serve the same.
private let roots = ["/api/v1", "/api/v1/clients/press-42"]

@Suite(.timeLimit(.minutes(2))) struct DesiredStateTests {
  @Test(arguments: roots) func `a plain directory is served, each change as the next version`(root: String) async throws
  {
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      try site.write("line/belt.yml", "speed: 2\n")
      let first = try await site.get(root + "/deployments")
      #expect(first.status == 200)
      #expect(first[.contentType] == StateManifest.mediaType)
      #expect(first[.eTag] == "\"\(Digest.of(first.body))\"")
      #expect(first[.cacheControl]?.contains("private") == true)
      let manifest = try first.json(ServedManifest.self)
      #expect(manifest.manifestVersion == 1)
      #expect(manifest.deployments.map(\.deploymentId) == ["line/belt", "press"])
      let press = try #require(manifest.deployments.last)
      #expect(press.url == "\(root)/deployments/press/\(press.digest)")
      let document = try await site.get(press.url)
      #expect(document.text == "recipe: 1\n")
      #expect(document[.contentType] == "application/yaml")
      #expect(document[.eTag] == "\"\(press.digest)\"")
      #expect(document[.cacheControl] == "private, max-age=31536000, immutable")
      #expect(document[.vary] == "Accept-Encoding")
      #expect(try await site.get(manifest.deployments[0].url).text == "speed: 2\n", "an id with a slash")

      #expect(try await site.get(root + "/deployments").body == first.body, "an unchanged directory is no new version")
      try site.write("press.yaml", "recipe: 2\n")
      let second = try await site.get(root + "/deployments").json(ServedManifest.self)
      #expect(second.manifestVersion == 2)
      #expect(second.deployments.last?.digest != press.digest)
      #expect(try await site.get(press.url).text == "recipe: 1\n", "an earlier document is still there")
    }
  }

  @Test(arguments: roots) func `what did not change is not sent again`(root: String) async throws {
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      let answer = try await site.get(root + "/deployments")
      let manifest = try answer.json(ServedManifest.self)
      let bundle = try #require(manifest.bundle?.url)
      for path in [root + "/deployments", manifest.deployments[0].url, bundle] {
        let tag = try #require(try await site.get(path)[.eTag])
        for condition in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
          let again = try await site.get(path, [.ifNoneMatch: condition])
          #expect(again.status == 304 && again.body.isEmpty && again[.eTag] == tag)
        }
        #expect(try await site.get(path, [.ifNoneMatch: "\"other\""]).status == 200)
      }
      try site.write("press.yaml", "recipe: 2\n")
      let tag = try #require(answer[.eTag])
      #expect(try await site.get(root + "/deployments", [.ifNoneMatch: tag]).status == 200)
    }
  }

  @Test func `versions and content survive a restart, also where nothing else does`() async throws {
    let data = NSTemporaryDirectory() + "reference-server-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: data) }
    let path = "/api/v1/clients/press-42/deployments"
    let before = Mutex<[UInt8]>([])
    try await TestSite.run(data: data) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      _ = try await site.get(path)
      try site.write("press.yaml", "recipe: 2\n")
      let body = try await site.get(path).body
      before.withLock { $0 = body }
    }
    try await TestSite.run(data: data) { site async throws in
      #expect(try await site.get(path).body == before.withLock { $0 }, "the same bytes, so that no agent sees a change")
    }
    // Touched, and with the same content: no new version. Changed while the server was down: the next.
    try Data("recipe: 3\n".utf8).write(to: URL(fileURLWithPath: data + "/clients/press-42/press.yaml"))
    try await TestSite.run(data: data) { site async throws in
      #expect(try await site.get(path).json(ServedManifest.self).manifestVersion == 3)
    }
  }

  @Test func `an empty directory removes nothing; an empty drop does`() async throws {
    try await TestSite.run { site async throws in
      let path = "/api/v1/clients/press-42/deployments"
      try site.write("press.yaml", "recipe: 1\n")
      #expect(try await site.get(path).json(ServedManifest.self).deployments.count == 1)
      try FileManager.default.removeItem(atPath: site.data + "/clients/press-42/press.yaml")
      #expect(try await site.get(path).json(ServedManifest.self).deployments.count == 1)
      let writer = DropWriter(path: site.data + "/clients/press-42")
      _ = try await writer.publish([], options: PublicationOptions(version: 2))
      let empty = try await site.get(path)
      #expect(try empty.json(ServedManifest.self).deployments.isEmpty)
      #expect(empty.text.contains("\"bundle\": null"))
    }
  }

  @Test func `a drop keeps its version, and one that goes back is not served`() async throws {
    try await TestSite.run { site async throws in
      let path = "/api/v1/clients/press-42/deployments"
      try site.write("../../press.yaml", "recipe: 1\n")
      let drop = site.data + "/clients/press-42"
      let files = [DocumentFile(id: "press", path: site.data + "/press.yaml")]
      _ = try await DropWriter(path: drop).publish(files, options: PublicationOptions(version: 41))
      #expect(try await site.get(path).json(ServedManifest.self).manifestVersion == 41)
      _ = try await DropWriter(path: drop).publish(files)
      #expect(try await site.get(path).json(ServedManifest.self).manifestVersion == 42)
      try FileManager.default.removeItem(atPath: drop)
      _ = try await DropWriter(path: drop).publish(files, options: PublicationOptions(version: 7))
      #expect(try await site.get(path).status == 500)
    }
  }

  @Test func `nothing published is not found; a stranger is turned away; other paths are problems, too`() async throws {
    try await TestSite.run { site async throws in
      try FileManager.default.createDirectory(
        atPath: site.data + "/clients/press-42", withIntermediateDirectories: true)
      #expect(try await site.get("/api/v1/clients/press-42/deployments").status == 404)
      #expect(try await site.get("/api/v1/clients/press-43/deployments").status == 403)
      #expect(try await site.get("/api/v1/clients/%2E%2E/deployments").status == 403)
      #expect(try await site.get("/api/v1/clients/..%2Fclients/deployments").status == 403)
      #expect(try await site.get("/api/v1/deployments").status == 403, "nobody is assumed")
      #expect(try await site.send(.get, "/elsewhere", isDescribed: false).status == 404)
      try site.write("press.yaml", "recipe: 1\n")
      let digest = Digest.of(Array("recipe: 1\n".utf8))
      let other = Digest.of(Array("other".utf8))
      let root = "/api/v1/clients/press-42"
      _ = try await site.get(root + "/deployments")
      #expect(try await site.get("\(root)/deployments/press/\(digest)").status == 200)
      for path in [
        "deployments/belt/\(digest)", "deployments/press/\(other)", "deployments/press/sha256:..",
        "bundles/\(other)", "bundles/nothing",
      ] {
        #expect(try await site.get("\(root)/\(path)").status == 404)
      }
    }
  }

  @Test func `manifests are served as what they are, compressed for those who ask`() async throws {
    try await TestSite.run { site async throws in
      try site.write("press.yaml", String(repeating: "recipe: 1\n", count: 500))
      let path = "/api/v1/clients/press-42/deployments"
      for accept in [StateManifest.mediaType, "*/*", "application/*", "text/html, \(StateManifest.mediaType);q=0.5"] {
        #expect(try await site.get(path, [.accept: accept]).status == 200)
      }
      for accept in ["text/html", "application/json", "\(StateManifest.mediaType);q=0, */*"] {
        #expect(try await site.get(path, [.accept: accept]).status == 406)
      }
      let url = try #require(try await site.get(path).json(ServedManifest.self).deployments.first?.url)
      for encodings in ["gzip", "br, gzip;q=0.5", "*"] {
        let packed = try await site.get(url, [.acceptEncoding: encodings])
        #expect(packed[.contentEncoding] == "gzip")
        #expect(packed.body.starts(with: [0x1F, 0x8B]) && packed.body.count < 500)
        #expect(try unpack(packed.body, "gzip", ["-dc"]) == Array(String(repeating: "recipe: 1\n", count: 500).utf8))
      }
      for encodings in ["identity", "gzip;q=0", "br"] {
        #expect(try await site.get(url, [.acceptEncoding: encodings])[.contentEncoding] == nil)
      }
    }
  }

  @Test func `the bundle holds every document, and its digest is right`() async throws {
    try await TestSite.run { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      try site.write("belt.yaml", "speed: 2\n")
      let manifest = try await site.get("/api/v1/clients/press-42/deployments").json(ServedManifest.self)
      let bundle = try #require(manifest.bundle)
      let answer = try await site.get(bundle.url)
      #expect(answer[.contentType] == "application/vnd.margo.bundle.v1+tar+gzip")
      #expect("\(Digest.of(answer.body))" == bundle.digest)
      #expect(bundle.url == "/api/v1/clients/press-42/bundles/\(bundle.digest)")
      let content = try unpack(answer.body, "tar", ["-xzOf", "-"])
      #expect(Set(String(decoding: content, as: UTF8.self).split(separator: "\n")) == ["recipe: 1", "speed: 2"])
    }
  }

  @Test func `many requests at once publish a change once`() async throws {
    try await TestSite.run { site async throws in
      for version in 1...3 {
        try site.write("press.yaml", "recipe: \(version)\n")
        let versions = try await withThrowingTaskGroup(of: UInt64.self) { group in
          for _ in 0..<20 {
            group.addTask {
              try await site.get("/api/v1/clients/press-42/deployments").json(ServedManifest.self).manifestVersion
            }
          }
          return try await group.reduce(into: Set<UInt64>()) { $0.insert($1) }
        }
        #expect(versions == [UInt64(version)])
      }
    }
  }

  /// What a program makes of bytes on its standard input.
  private func unpack(_ bytes: [UInt8], _ program: String, _ arguments: [String]) throws -> [UInt8] {
    let file = NSTemporaryDirectory() + UUID().uuidString
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    defer { try? FileManager.default.removeItem(atPath: file) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let result = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return Array(result)
  }
}
