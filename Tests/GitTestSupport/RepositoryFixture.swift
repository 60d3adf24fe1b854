package import DesiredState
package import DesiredStateTesting
import Foundation
import GitBackend
import Synchronization
package import TestSupport
import Testing

/// How a repository is reached, and taken away.
package protocol TransportUnderTest: Sendable {
  /// The address of the repository, without a query.
  var address: String { get }
  var settings: BackendSettings { get }
  var secrets: [String] { get }
  func makeUnreachable() async throws
  func makeReachable() async throws
  func stall() async throws
  func waitUntilStalled() async throws
  func resume() async throws
  /// Asks for seven seconds of patience from now on.
  func askForPatience() async throws
  /// How many bytes left the source; nil if they are not counted.
  func bytes() async throws -> UInt64?
  func tearDown() async
}

extension TransportUnderTest {
  package func askForPatience() async throws { throw NotPossible("git has no words for it, only HTTP does") }
}

/// A repository, on any road, with a drop in its tree or with documents alone.
package final class RepositoryFixture: ConformanceFixture {
  package enum Content: Sendable { case drop, plain }

  package let repository: OperatorRepository
  package let road: any TransportUnderTest
  package let content: Content
  package let cache = TemporaryDirectory()
  private let published = Mutex<TestPublication?>(nil)

  package init(_ repository: OperatorRepository, _ road: any TransportUnderTest, _ content: Content) {
    self.repository = repository
    self.road = road
    self.content = content
  }

  package var secrets: [String] { road.secrets }

  package var trust: TrustPolicy {
    switch content {
    case .drop: TestSigner.policy([Conformance.signer])
    case .plain: try! repository.keys.policy()
    }
  }

  package func makeBackend() async throws -> any DesiredStateBackend {
    try GitBackend(
      try SourceAddress("\(road.address)?ref=main"),
      context: BackendContext(device: "conformance", settings: road.settings, cacheDirectory: cache.path))
  }

  package func publish(_ publication: TestPublication) async throws { try await put(publication, leavingOut: nil) }

  package func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    if content == .plain, part != .signatures {
      throw NotPossible("a commit has all of its tree")
    }
    try await put(publication, leavingOut: part)
  }

  private func put(_ publication: TestPublication, leavingOut part: TestPublication.Part?) async throws {
    switch content {
    case .drop:
      let files = publication.files.filter { $0.part != part }.map { ($0.path, $0.bytes) }
      try await repository.commit(Dictionary(files) { first, _ in first }, signer: nil)
    case .plain:
      // What git keeps no empty directory for.
      let files = publication.documents.merging([".gitkeep": []]) { $1 }
      try await repository.commit(files, signer: part == .signatures ? nil : "operator")
    }
    published.withLock { $0 = publication }
  }

  package func publishNothing() async throws {
    guard published.withLock({ $0 }) != nil else { return }
    switch content {
    case .drop:
      try FileManager.default.removeItem(atPath: repository.tree + "/manifest.json")
      try await repository.commitTree(signer: nil)
    case .plain:
      // Deleted on the server; the next commit begins a branch anew.
      try await repository.git("update-ref", "-d", "refs/heads/main")
    }
  }

  package func makeUnreachable() async throws { try await road.makeUnreachable() }
  package func makeReachable() async throws { try await road.makeReachable() }
  package func stall() async throws { try await road.stall() }
  package func waitUntilStalled() async throws { try await road.waitUntilStalled() }
  package func resume() async throws { try await road.resume() }
  package func traffic() async throws -> SourceTraffic { SourceTraffic(bytes: try await road.bytes()) }
  package func tearDown() async { await road.tearDown() }

  package func corrupt(_ part: TestPublication.Part) async throws {
    let publication = try #require(published.withLock { $0 })
    switch (content, part) {
    case (.drop, _):
      var files = Dictionary(publication.files.map { ($0.path, $0) }) { first, _ in first }.mapValues(\.bytes)
      let file = try #require(publication.files.first { $0.part == part })
      files[file.path] = TestPublication.corrupted(file.bytes)
      try await repository.commit(files, signer: nil)
    case (.plain, .signatures):
      var lines = try await repository.git("cat-file", "commit", "HEAD").split(
        separator: "\n", omittingEmptySubsequences: false
      ).map(String.init)
      let begin = try #require(lines.firstIndex { $0.hasPrefix("gpgsig ") })
      // In the last full line of the armor: the signature itself.
      let end = try #require(lines.firstIndex { $0.contains("END SSH SIGNATURE") })
      try #require(end - 2 > begin)
      lines[end - 2] = String(lines[end - 2].map { $0 == "A" ? "B" : $0 == "a" ? "b" : $0 == "x" ? "y" : $0 })
      lines[end - 2] = String(lines[end - 2].dropLast(2)) + (lines[end - 2].hasSuffix("QQ") ? "gg" : "QQ")
      let id = try await repository.git(
        ["hash-object", "-t", "commit", "-w", "--stdin"], input: Array(lines.joined(separator: "\n").utf8) + [10])
      try await repository.git("update-ref", "refs/heads/main", id)
    case (.plain, .document(let id)):
      var documents = publication.documents
      documents[id] = TestPublication.corrupted(documents[id]!)
      try await repository.commit(documents, signer: nil)
    case (.plain, .manifest): throw NotPossible("a plain tree has no manifest")
    }
  }

  package func repair(_ part: TestPublication.Part) async throws {
    throw NotPossible("a commit that is repaired is another commit")
  }

  package func makeEndless(_ part: TestPublication.Part) async throws {
    let publication = try #require(published.withLock { $0 })
    // 100 MB of zeros, which git packs into 100 kB.
    let zeros = repository.folder["zeros"]
    _ = FileManager.default.createFile(atPath: zeros, contents: nil)
    try #require(truncate(zeros, 100_000_000) == 0)
    let path: String
    switch (content, part) {
    case (.drop, _): path = try #require(publication.files.first { $0.part == part }).path
    case (.plain, .document(let id)): path = id
    default: throw NotPossible("a plain tree has documents only")
    }
    try? FileManager.default.removeItem(atPath: "\(repository.tree)/\(path)")
    try FileManager.default.moveItem(atPath: zeros, toPath: "\(repository.tree)/\(path)")
    try await repository.commitTree()
  }

  package func askForPatience(_ duration: Duration) async throws {
    try #require(duration == .seconds(7))
    try await road.askForPatience()
  }

  package func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    let branch = "refs/heads/acknowledgements/conformance"
    let paths = try await repository.git("ls-tree", "-r", "--name-only", branch).split(separator: "\n")
    var received: [ReceivedAcknowledgement] = []
    for path in paths {
      received.append(try ReceivedAcknowledgement(receipt: try await repository.show(String(path), at: branch)))
    }
    return received
  }
}
