import DesiredState
import DesiredStateSupport

/// The files that say whom to trust, read again when they change.
///
/// A file that cannot be read, or is being written, changes nothing: the device goes on with what it read before, and
/// says so.
final class TrustFiles: Sendable {
  private struct State {
    var policy: TrustPolicy
    var fingerprint: [String?]
  }
  private let options: TrustOptions
  private let state: LockedValue<State>

  init(_ options: TrustOptions) async throws {
    self.options = options
    let fingerprint = options.fingerprint
    state = LockedValue(State(policy: try await options.policy(), fingerprint: fingerprint))
  }

  /// Reads the files again at the next question, whether they look changed or not.
  func invalidate() { state.withLock { $0.fingerprint = [] } }

  /// The policy as the files are now. If nothing changed, two stat(2) are all it costs.
  func current() async -> TrustPolicy {
    let fingerprint = options.fingerprint
    let known = state.withLock { $0 }
    guard known.fingerprint != fingerprint else { return known.policy }
    do {
      let policy = try await options.policy()
      state.withLock { $0 = State(policy: policy, fingerprint: fingerprint) }
      return policy
    } catch {
      state.withLock { $0.fingerprint = fingerprint }
      Output.complain("what to trust stays as it was: \(error)")
      return known.policy
    }
  }
}
