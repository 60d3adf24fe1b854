import Foundation
import Testing

@Suite("publish, verify, fetch")
struct PublishTests {
  let site = try! Site()

  private func verify(_ path: String? = nil, _ more: String...) async throws -> Finished {
    try await Tool.run(Tool.desiredState, ["verify", path ?? site.drop, "--json", "--trust", site.trust] + more)
  }

  @Test("What is published is what OpenSSH verifies, sha256sum confirms, and every checker of JSON reads") func standardTools() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("a: 1\n", to: "documents/a.yaml")
    try site.write("b: 1\n", to: "documents/dir/b \"quoted\" \u{e9}.yaml")
    try await site.publish(keys: [key], to: nil, "--device", "press-42", "--expires", "30d")
    let manifest = try site.read(site.drop + "/manifest.json")
    let signature = site.drop + "/signatures/sha256-\(try await site.sha256(manifest)).sig"
    let verified = try await Tool.run(
      "ssh-keygen", ["-Y", "verify", "-f", site.trust, "-I", "ops", "-n", "desired-state", "-s", signature], input: manifest)
    #expect(verified.status == 0)
    try await Tool.succeed(
      "python3",
      [
        "-c",
        """
        import json, hashlib, sys
        manifest = json.load(open('manifest.json'))
        assert manifest['manifestVersion'] == 1 and manifest['bundle'] is None
        for entry in manifest['deployments']:
            content = open(entry['url'], 'rb').read()
            assert entry['digest'] == 'sha256:' + hashlib.sha256(content).hexdigest() and entry['sizeBytes'] == len(content)
        assert [e['deploymentId'] for e in manifest['deployments']] == ['a.yaml', 'dir/b "quoted" \\u00e9.yaml']
        """,
      ], in: site.drop)
    #expect(try await verify(nil, "--device", "press-42").status == 0)
    #expect(try await verify(nil, "--device", "press-43").events.last?.code == "wrong-device")
  }

  @Test("Two keys sign into one file, and a threshold of two is met") func twoKeys() async throws {
    let first = try await site.makeKey("first", trustedAs: "ops")
    let second = try await site.makeKey("second", type: "rsa", trustedAs: "safety")
    try site.write("1", to: "documents/a")
    try await site.publish(keys: [first, second])
    #expect(try await verify(nil, "--threshold", "2").status == 0)
    #expect(try await verify(nil, "--threshold", "3").events.last?.code == "threshold-not-met")
  }

  @Test("A key that is not there, or not readable, publishes nothing and says which") func badKey() async throws {
    try site.write("1", to: "documents/a")
    let run = try await Tool.run(
      Tool.desiredState, ["publish", site.documents, "--to", site.drop, "--key", site.root + "/missing"])
    #expect(run.status == 1)
    #expect(run.complaint.contains("missing"))
    #expect(!site.exists(site.drop + "/manifest.json"))
  }

  @Test("A version that is not above what is published is refused") func version() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("1", to: "documents/a")
    try await site.publish(keys: [key], to: nil, "--version", "10")
    let run = try await Tool.run(
      Tool.desiredState, ["publish", site.documents, "--to", site.drop, "--key", key, "--version", "10"])
    #expect(run.status == 1)
    #expect(run.complaint.contains("10"))
    try await site.publish(keys: [key])
    #expect(try await verify().events.last?.version == 11)
  }

  @Test("Old documents stay for those who still read them, until they are pruned") func prune() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("1", to: "documents/a")
    try await site.publish(keys: [key])
    try site.write("2", to: "documents/a")
    try await site.publish(keys: [key])
    #expect(try site.files(below: site.drop + "/documents").count == 2)
    try await site.publish(keys: [key], to: nil, "--prune")
    #expect(try site.files(below: site.drop + "/documents").count == 1)
    #expect(try site.files(below: site.drop + "/signatures").count == 1)
    #expect(try await verify().status == 0)
  }

  @Test("--bundle adds an archive of the documents that the manifest names by digest") func bundle() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("1", to: "documents/a")
    try await site.publish(keys: [key], to: nil, "--bundle")
    try await Tool.succeed(
      "python3",
      [
        "-c",
        """
        import json, hashlib, tarfile
        bundle = json.load(open('manifest.json'))['bundle']
        assert bundle['mediaType'] == 'application/vnd.margo.bundle.v1+tar+gzip'
        assert bundle['digest'] == 'sha256:' + hashlib.sha256(open(bundle['url'], 'rb').read()).hexdigest()
        assert len(tarfile.open(bundle['url']).getmembers()) == 1
        """,
      ], in: site.drop)
  }

  @Test("A missing directory of documents is an error, and not an empty state") func missingDocuments() async throws {
    let run = try await Tool.run(Tool.desiredState, ["publish", site.documents, "--to", site.drop])
    #expect(run.status == 1)
    #expect(!site.exists(site.drop + "/manifest.json"))
  }

  @Test("fetch writes the documents of a verified state, and nothing of a refused one") func fetch() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1"), ("dir/b", "2")], keys: [key])
    let output = site.root + "/output"
    let arguments = ["fetch", site.drop, "--output", output, "--json", "--trust", site.trust]
    #expect(try await Tool.run(Tool.desiredState, arguments).status == 0)
    #expect(try site.files(below: output) == ["a": "1", "dir/b": "2"])
    try site.remove(output)
    try await site.publishByHand(version: "2", documents: [("a", "1")], keys: [])
    let refused = try await Tool.run(Tool.desiredState, arguments)
    #expect(refused.names == ["fetched", "rejected"])
    #expect(refused.status == 3)
    #expect(!site.exists(output))
  }
}
