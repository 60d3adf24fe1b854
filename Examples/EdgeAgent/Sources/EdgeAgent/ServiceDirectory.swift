import DesiredState
import FoundationEssentials
import MargoDeployments
import MargoDocuments
import Subprocess

/// The directory of services: a file for each document, which is a Margo deployment (YAML), or JSON that names its
/// `components`.
struct ServiceDirectory: Sendable {
  let root: URL
  let healthCheck: [String]
  let device: DeviceCapabilities?
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
      // A Margo fleet manager wants each change of state.
      if update.wantsEachChange {
        try await update.report(DocumentStatus(documentID: document.id, state: .installing))
      }
      let status = try await install(document)
      try await update.report(status)
      if status.state == .failed { unhealthy.append(document.id) }
    }
    if !unhealthy.isEmpty { throw Unhealthy(documents: unhealthy) }
  }

  private func install(_ document: Document) async throws -> DocumentStatus {
    let contents = try await document.contents()
    let names: [String]
    if let service = try? JSONDecoder().decode(Service.self, from: Data(contents)) {
      names = service.components
    } else {
      func failed(_ code: String, _ message: String, source: String? = nil) -> DocumentStatus {
        let error = DocumentStatus.Failure(code: code, source: source, message: message)
        return DocumentStatus(documentID: document.id, state: .failed, error: error)
      }
      do {
        let deployment = try ApplicationDeployment(yaml: contents)
        // Before anything is installed, as the specification says.
        let obstacles = device.map(deployment.obstacles) ?? []
        guard obstacles.isEmpty else {
          return failed("not-eligible", obstacles.joined(separator: "; "), source: deployment.name)
        }
        names = deployment.profile.components.map(\.name)
      } catch {
        return failed("malformed", error.message)
      }
    }
    try Data(contents).write(to: file(document.id), options: .atomic)
    var components: [DocumentStatus.Component] = []
    for name in names { components.append(try await check(name)) }
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
