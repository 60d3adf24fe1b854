import DesiredState
import DesiredStateSupport
import FoundationEssentials

/// Puts an update to work by the operator's command, and reports how far its documents have come.
struct ApplyHook: Sendable {
  let command: HookCommand
  /// Where `current` is kept, if it is.
  let directory: String?
  let device: String

  /// Runs the command. Documents that it says nothing of are reported by how it ended.
  ///
  /// - Throws: ``HookCommand/Failure``; `FileError` if reports cannot be written down.
  func apply(_ update: Update) async throws {
    let input = try JSON.line(UpdateInput(update, directory: directory, device: device))
    let reported = LockedValue<Set<String>>([])
    if update.wantsEachChange {
      try await report(update, except: []) { document, isRemoved in
        DocumentStatus(documentID: document.id, state: isRemoved ? .removing : .installing)
      }
    }
    do {
      try await command.run(input: Array(input.utf8)) { line in
        guard let status = ReportLine(line)?.status else { return Output.tell(line) }
        // The last word is the command's own status: a document that is still at work then is not spoken for.
        reported.withLock {
          if [.installed, .removed, .failed].contains(status.state) {
            _ = $0.insert(status.documentID)
          } else {
            $0.remove(status.documentID)
          }
        }
        try await update.report(status)
      }
    } catch let failure as HookCommand.Failure {
      let error = DocumentStatus.Failure(code: "apply-failed", message: failure.description)
      try await report(update, except: reported.withLock { $0 }) { document, _ in
        DocumentStatus(documentID: document.id, state: .failed, error: error)
      }
      throw failure
    }
    try await report(update, except: reported.withLock { $0 }) { document, isRemoved in
      DocumentStatus(documentID: document.id, state: isRemoved ? .removed : .installed)
    }
  }

  private func report(
    _ update: Update, except reported: Set<String>, _ status: (Document, Bool) -> DocumentStatus
  ) async throws {
    let changed = (update.added + update.modified).map { ($0, false) } + update.removed.map { ($0, true) }
    try await update.report(changed.filter { !reported.contains($0.0.id) }.map(status))
  }
}

/// An update as the command reads it.
private struct UpdateInput: Encodable {
  struct Document: Encodable {
    var id: String
    var digest: Digest
    var size: UInt64
    /// A read-only file with its bytes; the path holds wherever the command goes.
    var path: String

    init(_ document: DesiredState.Document) {
      id = document.id
      digest = document.digest
      size = document.size
      path = Files.absolute(document.path)
    }
  }

  var device: String
  var revision: Revision
  var version: UInt64?
  var origin: Origin
  /// The directory with each document as a file, if `--into` keeps one.
  var current: String?
  var documents: [Document]
  var added: [Document]
  var modified: [Document]
  var removed: [Document]

  init(_ update: Update, directory: String?, device: String) {
    self.device = device
    revision = update.revision
    version = update.version
    origin = update.origin
    current = directory.map { Files.absolute(Files.join($0, "current")) }
    documents = update.documents.map(Document.init)
    added = update.added.map(Document.init)
    modified = update.modified.map(Document.init)
    removed = update.removed.map(Document.init)
  }
}

/// A line by which the command reports a document: `STATE DOCUMENT`, or a JSON object with `document`, `state`, and where
/// known `device`, `error` and `components`.
struct ReportLine: Decodable {
  private struct Failure: Decodable {
    var code: String?
    var source: String?
    var message: String?

    var status: DocumentStatus.Failure {
      DocumentStatus.Failure(code: code ?? "failed", source: source, message: message ?? "")
    }
  }

  private struct Component: Decodable {
    var name: String
    var state: DocumentStatus.State
    var error: Failure?
  }

  private var document: String
  /// The device that hosts it, if it is one behind this one.
  private var device: String?
  private var state: DocumentStatus.State?
  private var error: Failure?
  private var components: [Component]?

  init?(_ line: String) {
    if line.hasPrefix("{") {
      guard let report = try? JSONDecoder().decode(ReportLine.self, from: Data(line.utf8)),
        report.state != nil || report.components?.isEmpty == false
      else { return nil }
      self = report
      return
    }
    let parts = line.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, let state = DocumentStatus.State(rawValue: String(parts[0])) else { return nil }
    document = String(parts[1])
    self.state = state
  }

  var status: DocumentStatus {
    let components = (components ?? []).map {
      DocumentStatus.Component(name: $0.name, state: $0.state, error: $0.error?.status)
    }
    let state = state ?? DocumentStatus.overallState(of: components)
    return DocumentStatus(
      documentID: document, device: device, state: state, error: state == .failed ? (error ?? Failure()).status : nil,
      components: components)
  }
}
