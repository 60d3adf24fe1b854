import DesiredStateSupport
public import FoundationEssentials
import Glibc

/// Statements that wait to be delivered: durable before they are sent, one per subject, the newest.
///
/// A directory with a file for each. Several processes may use it at once: an agent that delivers, and a script that
/// adds what became of a document.
public struct Outbox: Sendable {
  let directory: String
  private let worker = Worker("desired-state.outbox")
  private let patience = RetryAfterTable<Bool>()

  /// The outbox in a directory, which is created when something is put into it.
  init(directory: String) { self.directory = directory }

  /// The outbox of the store at a path, without opening the store.
  public init(ofStore path: String) { self.init(directory: StoreLayout(path).outbox) }

  /// Puts statements in; each replaces the one about the same subject. They are durable when this returns.
  ///
  /// - Throws: ``FileError``.
  public func put(_ acknowledgements: [Acknowledgement]) async throws {
    guard !acknowledgements.isEmpty else { return }
    let directory = directory
    try await worker.run {
      try Files.createDirectories(directory)
      let lock = try FileLock(waitingFor: directory)
      defer { lock.release() }
      // One sync for all, then the renames: the same order as for a single file, and cheap for thousands.
      let isSingle = acknowledgements.count == 1
      var names: [(temporary: String, final: String)] = []
      for acknowledgement in acknowledgements {
        let path = Files.join(directory, Self.fileName(for: acknowledgement.subject))
        if isSingle { return try Files.replace(path, with: JSON.file(acknowledgement)) }
        let temporary = Files.temporaryName(for: path)
        try Files.replace(temporary, with: JSON.file(acknowledgement), isDurable: false)
        names.append((temporary, path))
      }
      try Files.synchronizeFileSystem(of: directory)
      for name in names { try Files.rename(name.temporary, to: name.final) }
      try Files.synchronizeDirectory(directory)
    }
  }

  /// What waits, oldest first. A file that cannot be read is left out: it was never a statement of this package.
  ///
  /// - Throws: ``FileError``.
  public func waiting() async throws -> [Acknowledgement] {
    let directory = directory
    return try await worker.run { try Self.read(directory) }
  }

  /// Delivers what waits, in order, to the first backend that can take it; what could not be delivered stays.
  ///
  /// Trouble that may pass keeps the rest waiting as well, so that order is kept. A statement that is refused for good, or
  /// that no backend here takes at all, keeps nobody else waiting: the newest per subject is all there is.
  ///
  /// - Parameters:
  ///   - timeout: how long a backend may take for one statement.
  ///   - clock: what that time passes by.
  ///   - now: the time. A backend that asked for patience (``BackendError/retryAfter``) is passed over until it is over.
  /// - Returns: what was delivered, each with the source that took it, and the first error, if any.
  public func deliver(
    to backends: [any DesiredStateBackend], within timeout: Duration = .seconds(30),
    clock: any Clock<Duration> = ContinuousClock(), at now: Date = Date()
  ) async throws -> (delivered: [(Acknowledgement, source: String)], failure: (any Error)?) {
    let capable = backends.filter {
      !$0.capabilities.isDisjoint(with: .acknowledges) && patience.value(of: $0.source, at: now) == nil
    }
    guard !capable.isEmpty else { return ([], nil) }
    var delivered: [(Acknowledgement, source: String)] = []
    var failure: (any Error)?
    for acknowledgement in try await waiting() {
      var taker: String?
      var mayPass = false
      for backend in capable where taker == nil && backend.capabilities.contains(acknowledgement.capability) {
        do {
          try await withTimeout(timeout, clock: clock) { try await backend.acknowledge(acknowledgement) }
          taker = backend.source
        } catch is CancellationError {
          throw CancellationError()
        } catch {
          failure = failure ?? error
          patience.note(true, of: backend.source, for: (error as? BackendError)?.retryAfter, at: now)
          mayPass = mayPass || (error as? BackendError)?.isRetryable ?? true
        }
      }
      if mayPass, taker == nil { break }
      guard let taker else { continue }
      try await remove(acknowledgement)
      delivered.append((acknowledgement, taker))
    }
    return (delivered, failure)
  }

  /// Removes a statement unless a newer one has replaced it meanwhile.
  func remove(_ acknowledgement: Acknowledgement) async throws {
    let directory = directory
    try await worker.run {
      let lock = try FileLock(waitingFor: directory)
      defer { lock.release() }
      let path = Files.join(directory, Self.fileName(for: acknowledgement.subject))
      guard let current = Self.readOne(path), current.id == acknowledgement.id else { return }
      // Not synced: if a power cut brings it back it is delivered again, and counts once.
      try Files.remove(path)
    }
  }

  static func read(_ directory: String) throws -> [Acknowledgement] {
    guard Files.isDirectory(directory) else { return [] }
    return try Files.names(in: directory).filter { !$0.hasPrefix(".") }
      .compactMap { readOne(Files.join(directory, $0)) }
      .sorted { ($0.time, $0.id) < ($1.time, $1.id) }
  }

  private static func readOne(_ path: String) -> Acknowledgement? {
    guard let bytes = try? Files.read(path, limit: 1 << 20) else { return nil }
    return try? JSON.decode(Acknowledgement.self, from: bytes)
  }

  private static func fileName(for subject: Acknowledgement.Subject) -> String {
    switch subject {
    case .state: "state.json"
    case .document(let id): "document-\(Receipt.fileName(for: id)).json"
    }
  }
}
