/// A way to the services of a repository at the other end.
protocol GitTransport: Sendable {
  /// What proved who the other end is, in words; nil if nothing did.
  var channel: String? { get }
  /// Whether a request can be sent without having heard the server's advertisement on the same connection.
  var isStateless: Bool { get }

  /// Reads the files of its settings again, and connects anew.
  func reload()

  /// Opens a session with a service for as long as `body` runs.
  ///
  /// - Throws: what `body` throws; ``GitProtocolError``; ``BackendError``; `CancellationError`.
  func withSession<Value: Sendable>(
    with service: GitService, _ body: @escaping @Sendable (any GitSession) async throws -> Value
  ) async throws -> Value
}

extension GitTransport {
  /// For a transport that connects anew for each session.
  func reload() {}
}

/// The programs of git that serve a repository.
enum GitService: String, Sendable {
  case uploadPack = "git-upload-pack"
  case receivePack = "git-receive-pack"
}
