import DesiredState
import DesiredStateSupport
import Logging
import MargoDocuments

/// Sends reports before a poll, and takes a file of capabilities for them whenever it changes.
final class CapabilityReporter: Sendable {
  private let reports: CapabilityReports
  private let file: String?
  private let logger: Logger
  private let worker = Worker("desired-state.capabilities-file")

  private struct State {
    var file: FileWatch
    var records: FileWatch
    /// Whether the manager was told all that the records hold.
    var isSettled = false
  }
  private let state: LockedValue<State>

  init(_ reports: CapabilityReports, file: String?, logger: Logger) throws(SourceAddressError) {
    self.reports = reports
    self.file = file
    self.logger = logger
    state = LockedValue(
      State(file: FileWatch(file.map { [$0] } ?? []), records: FileWatch([reports.directory])))
    guard let file else { return }
    // A mistake is found out now and not at the first poll.
    do {
      guard let bytes = try Files.read(file, limit: CapabilityReports.sizeLimit) else {
        throw SourceAddressError("the device's capabilities are not at \(file)")
      }
      _ = try DeviceCapabilities.list(parsing: bytes)
    } catch let error as SourceAddressError {
      throw error
    } catch {
      throw SourceAddressError("\(file): \((error as? MargoDocumentError)?.message ?? "\(error)")")
    }
  }

  /// Sends what the manager does not have. A manager that cannot be reached ends the poll; one that does not take reports
  /// is followed all the same.
  ///
  /// - Throws: `BackendError`; `CancellationError`.
  func report(to manager: MargoBackend, timeout: Duration) async throws {
    do {
      try await takeFile()
      // At most polls nothing has changed, and nothing is read.
      let found = try await changes { state in
        state.records.lookAgain()
        return state.records.changed()
      }
      guard found != nil || !state.withLock(\.isSettled) else { return }
      let result = try await reports.deliver(to: manager, timeout: timeout)
      state.withLock { state in
        state.isSettled = result.isSettled
        if let found { state.records.didRead(found) }
      }
      for (device, isWithdrawn) in result.taken {
        logger.info("\(manager.source) \(isWithdrawn ? "forgot" : "has the capabilities of") \(device)")
      }
      for (device, failure) in result.refused {
        logger.error("the capabilities of \(device) are refused for good: \(failure.message)")
      }
      if let failure = result.failure {
        logger.warning("capabilities wait: \(failure.message)")
        // The poll would end the same way, a timeout later.
        if [.unreachable, .timeout, .tlsUntrusted].contains(failure.code) { throw failure }
      }
    } catch let error as BackendError {
      throw error
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      // A full disk is no reason not to look.
      logger.error("capabilities cannot be reported: \(error)")
    }
  }

  /// What tells files from those that were read last, as of now; nil if they are the same.
  private func changes(_ change: @escaping @Sendable (inout State) -> [String]?) async throws -> [String]? {
    try await worker.run { [state] in state.withLock { change(&$0) } }
  }

  private func takeFile() async throws {
    guard let file else { return }
    let found = try await changes { state in
      state.file.lookAgain()
      return state.file.changed()
    }
    guard let found, let bytes = try await worker.run({ try Files.read(file, limit: CapabilityReports.sizeLimit) })
    else { return }
    do {
      let capabilities = try DeviceCapabilities.list(parsing: bytes)
      for one in capabilities where !one.omissions.isEmpty {
        logger.warning("\(one.id) hosts workloads and should report \(one.omissions.joined(separator: ", ")) as well")
      }
      try await reports.update(capabilities)
    } catch let error as MargoDocumentError {
      logger.error("\(file): \(error.message); the manager keeps the report before")
    }
    state.withLock { $0.file.didRead(found) }
  }
}
