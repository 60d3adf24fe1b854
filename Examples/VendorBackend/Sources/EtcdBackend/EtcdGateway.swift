import DesiredState
import FoundationEssentials
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix

/// etcd's JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/), as far as the backend needs it. Each call
/// has a connection of its own, and ends when its task is cancelled, wherever it waits.
struct EtcdGateway: Sendable {
  let host: String
  let port: Int

  /// The value under a key, and the write that put it there: of which cluster, and which of its revisions.
  struct Entry: Sendable {
    let write: String
    let value: [UInt8]
  }

  private struct Reply: Decodable {
    var header: [String: String]
    var kvs: [[String: String]]?
  }

  /// The newest entry under a key, or nil if there is none; without its value if the limit is nil. Reading stops at the
  /// limit, or at 16 MiB: unless told to, etcd takes no value over 1.5.
  func entry(_ key: String, limit: Int?) async throws -> Entry? {
    let limit = limit.map { min($0, 16 << 20) }
    // A value comes in base64, four characters for three bytes, among a few hundred others; an empty one not at all.
    let bytes = try await exchange(
      "/v3/kv/range", #"{"key":"\#(base64(key.utf8))","keys_only":\#(limit == nil)}"#,
      limit: ((limit ?? 0) + 2) / 3 * 4 + 4096)
    let stranger = BackendError(.protocolViolation, "what answers at \(host):\(port) is not etcd's JSON gateway")
    guard let answer = try? JSONDecoder().decode(Reply.self, from: bytes), let cluster = answer.header["cluster_id"]
    else { throw stranger }
    guard let found = answer.kvs?.first else { return nil }
    guard let revision = found["mod_revision"], let value = Data(base64Encoded: found["value"] ?? "")
    else { throw stranger }
    if let limit, value.count > limit { throw VerificationError(.limitExceeded, "\(key) is over \(limit) bytes") }
    return Entry(write: "\(cluster) \(revision)", value: Array(value))
  }

  func put(_ key: String, _ value: [UInt8]) async throws {
    try await exchange("/v3/kv/put", #"{"key":"\#(base64(key.utf8))","value":"\#(base64(value))"}"#, limit: 4096)
  }

  /// Hints whenever etcd says something about the key, until it hangs up. What it says is not kept: it may be long.
  func watch(_ key: String, hint: @escaping @Sendable () -> Void) async throws {
    try await exchange("/v3/watch", #"{"create_request":{"key":"\#(base64(key.utf8))"}}"#, limit: 0, hint: hint)
  }

  private func base64(_ bytes: some Sequence<UInt8>) -> String { Data(bytes).base64EncodedString() }

  // MARK: - HTTP

  /// Posts JSON. The answer is collected up to the limit and read no further; or, to hint, dropped piece by piece.
  @discardableResult
  private func exchange(
    _ path: String, _ json: String, limit: Int, hint: (@Sendable () -> Void)? = nil
  ) async throws -> Data {
    do {
      let body = ByteBuffer(string: json)
      let headers: HTTPHeaders = [
        "host": "\(host):\(port)", "content-type": "application/json", "content-length": "\(body.readableBytes)",
        "connection": "close",
      ]
      let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path, headers: headers)
      return try await connect().executeThenClose { parts, outbound in
        try await outbound.write(contentsOf: [.head(head), .body(.byteBuffer(body)), .end(nil)])
        var answer = Data()
        for try await part in parts {
          switch part {
          case .head(let head): try check(head)
          case .body(let piece):
            hint?()
            guard hint == nil else { continue }
            guard answer.count + piece.readableBytes <= limit else {
              throw VerificationError(.limitExceeded, "etcd answers with more than the \(limit) bytes it may")
            }
            answer.append(contentsOf: piece.readableBytesView)
          case .end: return answer
          }
        }
        throw BackendError(.unreachable, "etcd at \(host):\(port) hung up in the middle of its answer")
      }
    } catch {
      // The error of a cancelled call depends on where it waited.
      try Task.checkCancellation()
      if error is BackendError || error is VerificationError { throw error }
      throw BackendError(
        error is HTTPParserError ? .protocolViolation : .unreachable,
        "etcd at \(host):\(port) does not answer; check that it runs there (\(error))", underlying: error)
    }
  }

  private func connect() async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
    // Making a connection does not heed cancellation by itself: its channels, one for each address of the host, are
    // closed for that.
    let opening = NIOLockedValueBox<[any Channel]?>([])
    return try await withTaskCancellationHandler {
      try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(host: host, port: port) {
        channel in
        channel.eventLoop.makeCompletedFuture {
          try opening.withLockedValue { if $0?.append(channel) == nil { throw CancellationError() } }
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
        }
      }
    } onCancel: {
      for channel in opening.withLockedValue({ $0.take() }) ?? [] { channel.close(promise: nil) }
    }
  }

  private func check(_ head: HTTPResponseHead) throws {
    let status = Int(head.status.code)
    guard status != 200 else { return }
    let codes: [Int: BackendError.Code] = [401: .unauthorized, 403: .forbidden, 429: .rateLimited]
    // RFC 9110 section 10.2.3; of its two forms the one that proxies send.
    let wait = head.headers.first(name: "retry-after").flatMap { Int($0) }
    throw BackendError(
      codes[status] ?? (status >= 500 ? .serverError : .protocolViolation),
      "etcd at \(host):\(port) answered \(head.status)", retryAfter: wait.map { .seconds($0) })
  }
}
