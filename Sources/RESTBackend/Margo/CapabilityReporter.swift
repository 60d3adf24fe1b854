import DesiredState
import DesiredStateSupport
import Logging
import MargoDocuments

/// Sends reports before a look, and takes a file of capabilities for them whenever it changes.
final class CapabilityReporter: Sendable {
  private let reports: CapabilityReports
  private let file: String?
  private let logger: Logger
  private let worker = Worker("desired-state.capabilities-file")
  /// The file's bytes as they were looked at last.
  private let seen = LockedValue<[UInt8]?>(nil)

  init(_ reports: CapabilityReports, file: String?, logger: Logger) throws(SourceAddressError) {
    self.reports = reports
    self.file = file
    self.logger = logger
    guard let file else { return }
    // A mistake is found out now and not at the first look.
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

  /// Sends what the manager does not have. A manager that cannot be reached ends the look; one that does not take reports
  /// is followed all the same.
  ///
  /// - Throws: `BackendError`; `CancellationError`.
  func report(to manager: MargoBackend, timeout: Duration) async throws {
    do {
      try await takeFile()
      let result = try await reports.deliver(to: manager, timeout: timeout)
      for (device, isWithdrawn) in result.taken {
        logger.info("\(manager.source) \(isWithdrawn ? "forgot" : "has the capabilities of") \(device)")
      }
      for (device, failure) in result.refused {
        logger.error("the capabilities of \(device) are refused for good: \(failure.message)")
      }
      if let failure = result.failure {
        logger.warning("capabilities wait: \(failure.message)")
        // The look would end the same way, a timeout later.
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

  private func takeFile() async throws {
    guard let file else { return }
    let bytes = try await worker.run { try Files.read(file, limit: CapabilityReports.sizeLimit) }
    guard let bytes, seen.withLock({ $0 != bytes }) else { return }
    do {
      try await reports.update(try DeviceCapabilities.list(parsing: bytes))
    } catch let error as MargoDocumentError {
      logger.error("\(file): \(error.message); the manager keeps what it has")
    }
    seen.withLock { $0 = bytes }
  }
}
