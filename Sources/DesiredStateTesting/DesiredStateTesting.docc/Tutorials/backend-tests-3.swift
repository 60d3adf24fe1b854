import DesiredState
import DesiredStateTesting
import Foundation
import Testing
import TwinBackend

@Test(arguments: Law.allCases) func `the twin backend keeps`(law: Law) async throws {
  try await Conformance("TwinBackend") { try TwinFixture() }.check(law)
}

struct TwinFixture: ConformanceFixture {
  let folder = NSTemporaryDirectory() + "twin-\(UUID().uuidString)"
  var secrets: [String] { [] }

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) }

  func makeBackend() async throws -> any DesiredStateBackend { TwinBackend(folder: folder) }

  func publish(_ publication: TestPublication) async throws {
    try write(Dictionary(publication.files.map { ($0.path, Data($0.bytes)) }, uniquingKeysWith: { $1 }))
  }

  func publishNothing() async throws { try write([:]) }
  func makeUnreachable() async throws { try FileManager.default.moveItem(atPath: folder, toPath: folder + ".away") }
  func makeReachable() async throws { try FileManager.default.moveItem(atPath: folder + ".away", toPath: folder) }

  func corrupt(_ part: TestPublication.Part) async throws {
    try change(part) { Data(TestPublication.corrupted([UInt8]($0))) }
  }

  // From here on: more that this source can do.

  func repair(_ part: TestPublication.Part) async throws { try await corrupt(part) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    let files = publication.files.filter { $0.part != part }
    try write(Dictionary(files.map { ($0.path, Data($0.bytes)) }, uniquingKeysWith: { $1 }))
  }

  func makeEndless(_ part: TestPublication.Part) async throws {
    try change(part) { $0 + Data(count: 64 << 20) }
  }

  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    let reported = folder + "/reported"
    let names = FileManager.default.enumerator(atPath: reported)?.compactMap { $0 as? String } ?? []
    return try names.filter { $0.hasSuffix(".json") }.map {
      try ReceivedAcknowledgement(receipt: [UInt8](Data(contentsOf: URL(filePath: "\(reported)/\($0)"))))
    }
  }

  func tearDown() async { try? FileManager.default.removeItem(atPath: folder) }

  // The cloud's client replaces the file as a whole.
  private func write(_ parts: [String: Data]) throws {
    try JSONEncoder().encode(parts).write(to: URL(filePath: folder + "/desired.json"), options: .atomic)
  }

  private func parts() throws -> [String: Data] {
    try JSONDecoder().decode([String: Data].self, from: Data(contentsOf: URL(filePath: folder + "/desired.json")))
  }

  private func change(_ part: TestPublication.Part, _ change: (Data) -> Data) throws {
    var parts = try parts()
    let path = try path(of: part, in: parts)
    parts[path] = parts[path].map(change)
    try write(parts)
  }

  private func path(of part: TestPublication.Part, in parts: [String: Data]) throws -> String {
    guard let manifest = parts["manifest.json"].map({ [UInt8]($0) }) else { throw NotPossible("nothing is published") }
    switch part {
    case .manifest: return "manifest.json"
    case .signatures: return DropLayout.signatures(of: Revision(ofManifest: manifest))
    case .document(let id):
      let document = try StateManifest(parsing: manifest).documents.first { $0.id == id }
      guard let document else { throw NotPossible("document '\(id)' is not published") }
      return DropLayout.document(document.digest)
    }
  }
}
