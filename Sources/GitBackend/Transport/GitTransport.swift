/// A way to the services of a repository at the other end.
protocol GitTransport: Sendable {
  /// What proved who the other end is, in words; nil if nothing did.
  var channel: String? { get }
  /// Whether a request can be sent without having heard the server's advertisement on the same connection.
  var isStateless: Bool { get }

  /// Talks with a service for as long as `talk` runs.
  ///
  /// - Throws: what `talk` throws; ``BackendError``; `CancellationError`.
  func converse<Value: Sendable>(
    with service: GitService, _ talk: @escaping @Sendable (any GitSession) async throws -> Value
  ) async throws -> Value
}

/// The programs of git that serve a repository.
enum GitService: String, Sendable {
  case uploadPack = "git-upload-pack"
  case receivePack = "git-receive-pack"
}

/// A conversation with a service.
protocol GitSession {
  /// What the service says of itself when it is connected to.
  func advertisement() async throws -> PacketReader
  /// Sends a request and returns its answer.
  func ask(_ request: [UInt8]) async throws -> PacketReader
}
