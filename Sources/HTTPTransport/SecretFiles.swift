import DesiredStateSupport
import FoundationEssentials

/// The secrets of one transport: those in files are read again when the files change.
final class SecretFiles: Sendable {
  private struct Read: Sendable {
    var value: String
    var watch: FileWatch
  }

  private struct State: Sendable {
    var files: [String: Read] = [:]
    /// The forms sent so far, the newest last: a server may still speak of the one before.
    var sent: [String] = []
  }

  private let configured: [String]
  private let state = LockedValue(State())

  init(_ configuration: HTTPTransportConfiguration) { configured = configuration.secrets }

  /// The secret itself. Blocks while a file is read; called on an engine's thread.
  ///
  /// - Throws: `configuration` if the file holds none and never did.
  func value(of secret: HTTPSecret) throws(HTTPTransportError) -> String {
    switch secret.content {
    case .text(let text): return text
    case .file(let path):
      return try state.withLock { (state) throws(HTTPTransportError) -> String in
        let known = state.files[path]
        var watch = known?.watch ?? FileWatch([path])
        let found = watch.changed()
        state.files[path]?.watch = watch
        if let known, found == nil { return known.value }
        // A file that is empty for a moment is being written; what it held before goes on.
        let text = String(decoding: ((try? Files.read(path, limit: 1 << 16)) ?? nil) ?? [], as: UTF8.self)
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 1, words[0].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
          guard let known else { throw .configuration("The token file \(path) holds no token, or more than one.") }
          return known.value
        }
        let value = String(words[0])
        if let found { watch.didRead(found) }
        state.files[path] = Read(value: value, watch: watch)
        return value
      }
    }
  }

  /// Notes a credential in the form in which it is sent.
  func willSend(_ text: String) {
    state.withLock { state in
      guard state.sent.last != text else { return }
      state.sent.removeAll { $0 == text }
      state.sent.append(text)
      if state.sent.count > 16 { state.sent.removeFirst() }
    }
  }

  func lookAgain() {
    state.withLock { state in
      for path in state.files.keys { state.files[path]?.watch.lookAgain() }
    }
  }

  /// A text without any secret that it may repeat.
  func struck(from text: String, alongWith more: [String] = []) -> String {
    let secrets = configured + state.withLock { $0.files.values.map(\.value) + $0.sent } + more
    // The longest first: one may begin another.
    return Set(secrets).filter { $0.utf8.count >= 4 || configured.contains($0) }.sorted {
      $0.utf8.count > $1.utf8.count
    }
    .reduce(text) { $0.replacing($1, with: "•••") }
  }
}
