import Foundation
import Testing

@Suite("follow --once: what a good source brings about")
struct FollowTests {
  let site = try! Site()

  @Test("A drop made by hand with sha256sum, an editor and ssh-keygen is adopted, applied and acknowledged")
  func firstAdoption() async throws {
    let key = try await site.makeKey(trustedAs: "ops@plant.example")
    try await site.publishByHand(
      documents: [("press.yaml", "press: 1\n"), ("line/mixer.yaml", "mixer: 1\n")], keys: [key])
    let run = try await site.follow()
    #expect(run.names == ["fetched", "verified", "adopted", "applied", "acknowledged"])
    #expect(run.status == 0)
    #expect(run.events.last { $0.event == "adopted" }?.version == 1)
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n", "line/mixer.yaml": "mixer: 1\n"])
    let status = try await site.status()
    #expect(status.adopted?.version == 1)
    #expect(status.applied?.revision == status.adopted?.revision)
    #expect(status.adopted?.signers.first?.principals == ["ops@plant.example"])
    #expect(status.adopted?.signers.first?.key.hasPrefix("SHA256:") == true)
    #expect(status.refused.isEmpty)
    #expect(status.outbox.waiting == 0)
    let receipt = try site.read(site.drop + "/acknowledgements/press-42/state.json")
    #expect(receipt.contains("\"adoptedManifestVersion\" : 1"))
    #expect(receipt.contains("\"state\" : \"adopted\""))
  }

  @Test("Acknowledgements go where --acknowledge-to says, and nowhere else")
  func acknowledgeTo() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let office = site.root + "/office"
    try site.write("{}", to: office + "/manifest.json")
    let run = try await site.follow(nil, "--acknowledge-to", office)
    #expect(run.status == 0)
    #expect(run.events.last { $0.event == "acknowledged" }?.source == office)
    #expect(site.exists(office + "/acknowledgements/press-42/state.json"))
    #expect(!site.exists(site.drop + "/acknowledgements"))
  }

  @Test("Unchanged: nothing is adopted again, status 0")
  func unchanged() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    let run = try await site.follow()
    #expect(run.names == ["unchanged"])
    #expect(run.status == 0)
  }

  @Test("A new version brings the changed, the new and takes the removed document")
  func newVersion() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(
      documents: [("a", "1"), ("b", "1"), ("c", "1")], keys: [key])
    _ = try await site.follow()
    try await site.publishByHand(version: "2", documents: [("a", "1"), ("b", "2"), ("d", "1")], keys: [key])
    let run = try await site.follow()
    #expect(run.status == 0)
    #expect(try site.files(below: site.current) == ["a": "1", "b": "2", "d": "1"])
  }

  @Test("An explicitly empty state removes everything")
  func emptyState() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    try await site.publishByHand(version: "2", documents: [], keys: [key])
    let run = try await site.follow()
    #expect(run.status == 0)
    #expect(run.names.contains("adopted"))
    #expect(try site.files(below: site.current).isEmpty)
    #expect(site.exists(site.current))
  }

  @Test("Nothing published is absent, status 5, and takes nothing away")
  func nothingPublished() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try FileManager.default.createDirectory(atPath: site.drop, withIntermediateDirectories: true)
    let empty = try await site.follow()
    #expect(empty.names == ["absent"])
    #expect(empty.status == 5)
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    try site.remove(site.drop)
    try FileManager.default.createDirectory(atPath: site.drop, withIntermediateDirectories: true)
    #expect(try await site.follow().status == 5)
    #expect(try site.files(below: site.current).count == 1)
  }

  @Test("A missing directory is unavailable, status 4, and takes nothing away")
  func missingDirectory() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    try site.remove(site.drop)
    let run = try await site.follow()
    #expect(run.names == ["unavailable"])
    #expect(run.events.first?.code == "unreachable")
    #expect(run.status == 4)
    #expect(try site.files(below: site.current).count == 1)
    let status = try await site.status()
    #expect(status.sources.first?.lastError?.code == "unreachable")
    #expect(status.sources.first?.lastContact != nil)
  }

  @Test("A threshold of 2 is met by two keys")
  func thresholdMet() async throws {
    let first = try await site.makeKey("first", trustedAs: "ops")
    let second = try await site.makeKey("second", type: "ecdsa", trustedAs: "safety")
    try await site.publishByHand(keys: [first, second])
    let run = try await site.follow(nil, trust: ["--trust", site.trust, "--threshold", "2"])
    #expect(run.status == 0)
    #expect(try await site.status().adopted?.signers.count == 2)
  }

  @Test("The highest version there is follows the one below it")
  func highestVersion() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    // 2^53 + 1 and above do not survive a trip through floating point.
    try await site.publishByHand(version: "9007199254740993", keys: [key])
    #expect(try await site.follow().status == 0)
    #expect(try await site.status().adopted?.version == 9_007_199_254_740_993)
    try await site.publishByHand(version: "9007199254740994", documents: [], keys: [key])
    #expect(try await site.follow().status == 0)
    #expect(try await site.status().adopted?.version == 9_007_199_254_740_994)
  }

  @Test("A plain directory is followed when unsigned states are accepted by name, and only then")
  func plainDirectory() async throws {
    try site.write("a: 1\n", to: "plain/a.yaml")
    let plain = site.root + "/plain"
    _ = try await site.makeKey(trustedAs: "ops")
    let refused = try await site.follow(plain)
    #expect(refused.events.last?.code == "signature-missing")
    #expect(refused.status == 3)
    let run = try await site.follow(plain, trust: ["--accept-unsigned"])
    #expect(run.status == 0)
    #expect(try site.files(below: site.current) == ["a.yaml": "a: 1\n"])
    try site.write("a: 2\n", to: "plain/a.yaml")
    try site.write("b: 1\n", to: "plain/sub/b.yaml")
    #expect(try await site.follow(plain, trust: ["--accept-unsigned"]).status == 0)
    #expect(try site.files(below: site.current) == ["a.yaml": "a: 2\n", "sub/b.yaml": "b: 1\n"])
  }

  @Test("A stricter policy is applied to a state that its source says is unchanged")
  func policyChange() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try await site.follow().status == 0)
    let run = try await site.follow(nil, trust: ["--trust", site.trust, "--threshold", "2"])
    #expect(run.events.last?.code == "threshold-not-met")
    #expect(run.status == 3)
    #expect(try site.files(below: site.current).count == 1)
  }

  @Test("What somebody deletes below --into is put back")
  func intoIsPutBack() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    try site.remove(site.into)
    #expect(try await site.follow().names == ["applied", "unchanged"])
    #expect(try site.files(below: site.current).count == 1)
  }

  @Test("A damaged document in the store is fetched again")
  func damagedBlob() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "good")], keys: [key])
    _ = try await site.follow()
    let blob = site.store + "/blobs/sha256-" + (try await site.sha256("good"))
    try site.remove(blob)
    try site.write("evil", to: blob)
    try site.remove(site.into)
    #expect(try await site.follow().status == 0)
    #expect(try site.files(below: site.current) == ["a": "good"])
  }

  @Test("A document written to through --into is noticed and fetched again with the next version")
  func editedThroughInto() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "good"), ("b", "1")], keys: [key])
    _ = try await site.follow()
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: site.current + "/a"))
    try handle.write(contentsOf: Data("evil".utf8))
    try handle.close()
    try await site.publishByHand(version: "2", documents: [("a", "good"), ("b", "2")], keys: [key])
    #expect(try await site.follow().status == 0)
    #expect(try site.files(below: site.current) == ["a": "good", "b": "2"])
  }

  @Test("A store can have one agent at a time, and the second says so")
  func secondProcess() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    let holder = try await Tool.run(
      "flock",
      [
        site.store + "/lock", Tool.desiredState, "follow", site.drop, "--store", site.store, "--once", "--trust",
        site.trust,
      ])
    #expect(holder.status == 1)
    #expect(holder.complaint.contains("in use by another process"))
  }

  @Test("Documents already acknowledged by hand are delivered; a read-only drop leaves them waiting")
  func acknowledge() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    _ = try await site.follow()
    let arguments = [
      "acknowledge", site.drop, "--store", site.store, "--device", "press-42", "--document", "press.yaml", "--json",
    ]
    let run = try await Tool.run(Tool.desiredState, arguments + ["--state", "installed"])
    #expect(run.status == 0)
    let path = site.drop + "/acknowledgements/press-42/documents/press.yaml.json"
    let receipt = try site.read(path)
    #expect(receipt.contains("DeploymentStatusManifest"))
    #expect(receipt.contains("\"state\" : \"installed\""))
    #expect(receipt.contains("\"adoptedManifestVersion\" : 1"))
    // A file where the folder should be: like a read-only drop, also for root.
    try site.remove(site.drop + "/acknowledgements")
    try site.write("", to: site.drop + "/acknowledgements")
    let waiting = try await Tool.run(
      Tool.desiredState, arguments + ["--state", "failed", "--error-code", "E42", "--error-message", "motor hot"])
    #expect(waiting.status == 4)
    #expect(try await site.status().outbox.waiting == 1)
    #expect(try await site.status().outbox.oldest != nil)
    // Followed on: the state is kept, the acknowledgement waits, and is delivered once it can be.
    #expect(try await site.follow().status == 0)
    try site.remove(site.drop + "/acknowledgements")
    #expect(try await site.follow().names == ["unchanged", "acknowledged"])
    #expect(try site.read(path).contains("motor hot"))
    #expect(try await site.status().outbox.waiting == 0)
  }
}
