import DesiredState
import FoundationEssentials
import Subprocess

/// The directory of services: a file for each document, which is JSON that names its `components`.
struct ServiceDirectory: Sendable {
  let root: URL
  let healthCheck: [String]
  private struct Service: Decodable { var components: [String] }
  struct Unhealthy: Error { let documents: [String] }

  /// Brings the directory to the state that is wanted, and reports each document. If it throws, it is called again.
  func apply(_ update: Update) async throws {
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    // Not only `removed`: what an update left that failed, and never came to be the applied state, goes as well.
    let present = try FileManager.default.contentsOfDirectory(atPath: root.path).map(Self.id(ofFile:))
    for id in Set(update.removed.map(\.id) + present).subtracting(update.documents.map(\.id)) {
      if FileManager.default.fileExists(atPath: file(id).path) {
        try FileManager.default.removeItem(at: file(id))
      }
      try await update.report(DocumentStatus(documentID: id, state: .removed))
    }
    var unhealthy: [String] = []
    for document in update.added + update.modified {
      let status = try await install(document)
      try await update.report(status)
      if status.state == .failed { unhealthy.append(document.id) }
    }
    if !unhealthy.isEmpty { throw Unhealthy(documents: unhealthy) }
  }

  private func install(_ document: Document) async throws -> DocumentStatus {
    let contents = Data(try await document.contents())
    guard let service = try? JSONDecoder().decode(Service.self, from: contents) else {
      let error = DocumentStatus.Failure(code: "malformed", message: "it is not JSON that names components")
      return DocumentStatus(documentID: document.id, state: .failed, error: error)
    }
    try contents.write(to: file(document.id), options: .atomic)
    var components: [DocumentStatus.Component] = []
    for name in service.components { components.append(try await check(name)) }
    return DocumentStatus(
      documentID: document.id, state: components.isEmpty ? .installed : DocumentStatus.overallState(of: components),
      error: components.compactMap(\.error).first, components: components)
  }

  private func check(_ component: String) async throws -> DocumentStatus.Component {
    let result = try await Subprocess.run(
      .path(.init(healthCheck.first ?? "/bin/true")), arguments: Arguments(healthCheck.dropFirst() + [component]),
      output: .discarded, error: .string(limit: 4096))
    guard !result.terminationStatus.isSuccess else { return .init(name: component, state: .installed) }
    let error = DocumentStatus.Failure(code: "unhealthy", source: component, message: result.standardError)
    return .init(name: component, state: .failed, error: error)
  }

  // An id may be a path; its file's name is not.
  func file(_ id: String) -> URL { root.appending(path: id.replacing("%", with: "%25").replacing("/", with: "%2F")) }
  static func id(ofFile name: String) -> String { name.replacing("%2F", with: "/").replacing("%25", with: "%") }
}
