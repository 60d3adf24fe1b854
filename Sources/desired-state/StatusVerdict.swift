import DesiredState
import DesiredStateSupport
import FoundationEssentials

/// Whether a device is up to date, and why, in one sentence.
struct StatusVerdict {
  var isUpToDate: Bool
  var reason: String
}

extension StoreStatus {
  /// What an operator asks first. The first trouble that holds is the reason; without any, what was confirmed last.
  func verdict(at now: Date) -> StatusVerdict {
    func no(_ reason: String) -> StatusVerdict { StatusVerdict(isUpToDate: false, reason: reason) }
    guard let adopted else {
      if let refused = refused.last { return no("nothing is adopted: \(refused.code): \(refused.reason)") }
      return no("nothing is adopted: \(trouble ?? "no source was asked yet")")
    }
    let name = adopted.version.map { "version \($0)" } ?? "revision \(adopted.revision)"
    if let rollback {
      let from = rollback.from.version.map { "version \($0)" } ?? "\(rollback.from.revision)"
      return no("rolled back from \(from) to \(name) at \(Timestamp.text(rollback.since)): \(rollback.reason)")
    }
    if !isInPlace {
      if let attempt, attempt.revision == adopted.revision, attempt.failures > 0 {
        return no("\(name) is adopted and could not be applied: \(attempt.reason ?? "it failed")")
      }
      return no("\(name) is adopted and not applied yet")
    }
    if let expires = adopted.expires, expires <= Verifier.time(now, newestSigned: newestSigned) {
      return no("\(name) expired at \(Timestamp.text(expires))")
    }
    // A source that is behind is no news of something newer.
    let stale: Set<VerificationError.Code> = [.versionRollback]
    if let refused = refused.last(where: { !stale.contains($0.code) }) {
      let what = refused.version.map { "version \($0)" } ?? "what is published"
      return no("\(what) is refused: \(refused.code): \(refused.reason)")
    }
    let good = sources.filter { source, health in
      health.lastError == nil && health.absent == nil && !refused.contains { $0.source == source }
    }
    guard let confirmed = good.compactMap(\.value.lastContact).max() else {
      return no(
        "\(name) is applied, and no source confirms it: \(trouble ?? refused.last?.reason ?? "none was asked yet")")
    }
    return StatusVerdict(
      isUpToDate: true, reason: "\(name) is applied, and was published at \(Timestamp.text(confirmed))")
  }

  /// What the sources say of themselves, if not one is well.
  private var trouble: String? {
    let troubles = sources.sorted { $0.key < $1.key }.compactMap { source, health -> String? in
      if let error = health.lastError { return "\(source): \(error.code): \(error.message)" }
      return health.absent.map { "\(source) publishes nothing: \($0)" }
    }
    return troubles.isEmpty ? nil : troubles.joined(separator: "; ")
  }
}
