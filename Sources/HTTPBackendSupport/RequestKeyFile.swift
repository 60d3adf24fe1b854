import DesiredStateSupport
package import HTTPMessageSignatures

/// The file of the key that signs requests. It is read again when it changes; as long as it holds no key, because it is
/// being written, the one before goes on.
package final class RequestKeyFile: Sendable {
  private struct State: Sendable {
    var key: HTTPSigningKey
    var fingerprint: String
    var lookedAt = ContinuousClock.now
  }
  private let path: String
  private let state: LockedValue<State>

  /// Many requests are signed at once; the file is looked at once for all of them.
  private static let shortestInterval = Duration.milliseconds(100)

  init(_ path: String, holding key: HTTPSigningKey) {
    self.path = path
    // It may have changed since it was read: so it is looked at before the first request.
    state = LockedValue(State(key: key, fingerprint: "", lookedAt: .now - Self.shortestInterval))
  }

  /// The key that the file holds now.
  package var key: HTTPSigningKey {
    state.withLock { state in
      let now = ContinuousClock.now
      guard now - state.lookedAt >= Self.shortestInterval else { return state.key }
      state.lookedAt = now
      let fingerprint = (try? OpenFile.reading(path).status().fingerprint) ?? ""
      guard fingerprint != state.fingerprint, let bytes = (try? Files.read(path, limit: 1 << 16)) ?? nil,
        let key = try? HTTPSigningKey(pem: String(decoding: bytes, as: UTF8.self))
      else { return state.key }
      state.key = key
      state.fingerprint = fingerprint
      return key
    }
  }
}
