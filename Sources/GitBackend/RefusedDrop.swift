import DesiredState
import DesiredStateSupport

/// The drop that was refused by its signatures: its documents do not stay on the disk, and are not fetched again for as
/// long as it is refused.
final class RefusedDrop: Sendable {
  /// A longer manifest is not kept in memory for it.
  private static let largestManifest = 1 << 20
  private let last = LockedValue<(found: GitReference.Found, state: GitState)?>(nil)

  /// The drop that was refused here, if it still is.
  func drop(at found: GitReference.Found, by verifier: Verifier?) -> GitState? {
    guard let last = last.withLock({ $0 }), last.found == found, isRefused(last.state, by: verifier) else { return nil }
    return last.state
  }

  /// Notes a drop if it is refused; false if it is not. One with the next trust update beside it is not known to be
  /// refused: its signer may be one that only the update lets sign.
  func note(_ state: GitState, at found: GitReference.Found, by verifier: Verifier?) -> Bool {
    guard isRefused(state, by: verifier) else { return false }
    last.withLock { $0 = (found, state) }
    return true
  }

  private func isRefused(_ state: GitState, by verifier: Verifier?) -> Bool {
    guard let verifier, verifier.policy.requiresSignatures, case .drop(_, let manifest, let signatures) = state.content,
      manifest.count <= Self.largestManifest
    else { return false }
    return (try? verifier.signers(of: manifest, signatures: signatures, namespace: "desired-state")) == nil
  }
}

/// The documents of a drop that is refused: none of them is here.
struct RefusedDocuments: DocumentReader {
  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    throw BackendError(.unreachable, "the documents of a refused drop are not fetched")
  }
}
