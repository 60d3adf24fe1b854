import DesiredStateSupport
import FoundationEssentials
import Logging

/// The last message of each subject, so that a situation is one line in the log however long it lasts.
final class Situations: Sendable {
  private let known = LockedValue<[String: String]>([:])

  /// Says something if it is not the situation already.
  func note(_ situation: String, of subject: String, _ say: () -> Void) {
    if known.withLock({ $0.updateValue(situation, forKey: subject) }) != situation { say() }
  }

  /// The trouble is over; whether there was any.
  @discardableResult func forget(_ subject: String) -> Bool {
    known.withLock { $0.removeValue(forKey: subject) } != nil
  }
}

extension Reconciler {
  func log(
    _ level: Logger.Level, _ message: String, _ source: String? = nil, _ revision: Revision? = nil,
    _ version: UInt64? = nil, code: String? = nil
  ) {
    var metadata: Logger.Metadata = ["device": "\(printable(configuration.device))"]
    if let source { metadata["source"] = "\(printable(source))" }
    if let revision { metadata["revision"] = "\(revision)" }
    if let version { metadata["version"] = "\(version)" }
    if let code { metadata["code"] = "\(code)" }
    configuration.logger.log(level: level, "\(printable(message, limit: 4096))", metadata: metadata)
  }

  /// One line when a source's situation changes; the same again is for a closer look.
  func logSituation(_ outcome: Outcome, of source: String) {
    switch outcome {
    case .current:
      if situations.forget("source \(source)") { log(.notice, "the source is as it should be again", source) }
    case .absent(let absence):
      situations.note("absent \(absence.part)", of: "source \(source)") {
        log(.warning, "the source publishes nothing: \(absence)", source, code: absence.part.rawValue)
      }
    case .rejected(let error):
      situations.note("rejected \(error.code) \(error.version ?? 0)", of: "source \(source)") {
        log(.warning, "refused: \(error)", source, nil, error.version, code: error.code.rawValue)
      }
    case .unavailable(let error):
      situations.note("unavailable \(error.code)", of: "source \(source)") {
        log(.warning, "the source is unavailable: \(error)", source, code: error.code.rawValue)
      }
    case .applyFailed, .held, .resting: break
    }
  }

  /// Trouble on this device is logged, once as long as it is the same.
  func reportTrouble(_ error: any Error, _ part: String) {
    situations.note("\(error)", of: "device \(part)") { log(.error, "\(error)") }
  }

  /// Says once that the clock cannot be right, and once that it is again.
  func reportClock() {
    let now = configuration.now()
    guard now < Verifier.earliestPlausibleTime else {
      if situations.forget("clock") { log(.notice, "the clock is plausible again: \(Timestamp.text(now))") }
      return
    }
    situations.note("implausible", of: "clock") {
      log(
        .warning,
        "clock implausible: it is \(Timestamp.text(now)), before this program was built; expiry is judged by the newest signed time",
        code: "clock-implausible")
    }
  }
}
