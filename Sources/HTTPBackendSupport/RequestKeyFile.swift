import DesiredStateSupport
package import HTTPMessageSignatures

/// The file of the key that signs requests. It is read again when it changes; as long as it holds no key, because it is
/// being written, the one before goes on.
package final class RequestKeyFile: Sendable {
  private struct State: Sendable {
    var key: HTTPSigningKey
    var watch: FileWatch
  }
  private let path: String
  private let state: LockedValue<State>

  init(_ path: String, holding key: HTTPSigningKey) {
    self.path = path
    // It may have changed since it was read: so it is looked at before the first request.
    state = LockedValue(State(key: key, watch: FileWatch([path])))
  }

  /// The key that the file holds now.
  package var key: HTTPSigningKey {
    state.withLock { state in
      guard let found = state.watch.changed(), let bytes = (try? Files.read(path, limit: 1 << 16)) ?? nil,
        let key = try? HTTPSigningKey(pem: String(decoding: bytes, as: UTF8.self))
      else { return state.key }
      state.key = key
      state.watch.didRead(found)
      return key
    }
  }
}
