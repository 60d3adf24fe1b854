import DesiredState
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// etcd's v3 JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/): the few calls the backend needs.
///
/// One connection for each call. Whatever waits, cancelling the task ends it.
struct EtcdGateway: Sendable {
  let host: String
  let port: Int

  /// A key as a range request finds it.
  struct Entry: Sendable {
    /// Which write of which cluster this is. The cluster is named because one that was made anew counts its writes from
    /// the beginning.
    let write: String
    let value: [UInt8]
  }

  /// The newest entry under a key, or nil if there is none; without its value if the limit is nil.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded` as soon as more has come than a value within the limit takes.
  func entry(_ key: String, limit: Int?) async throws -> Entry? {
    let call = Call(key: Data(key.utf8), value: nil, keysOnly: limit == nil ? true : nil)
    // A value is written in base64, four characters for three bytes, and what is around it is a few hundred bytes.
    let answer = try await post("/v3/kv/range", call, limit: ((limit ?? 0) + 2) / 3 * 4 + 4096)
    let range: RangeAnswer
    do {
      range = try JSONDecoder().decode(RangeAnswer.self, from: answer)
    } catch {
      throw BackendError(.protocolViolation, "\(host):\(port) does not answer as etcd's gateway does", underlying: error)
    }
    guard let found = range.kvs?.first else { return nil }
    // etcd leaves an empty value out.
    let value = [UInt8](found.value ?? Data())
    if let limit, value.count > limit { throw Self.tooLong(key, limit) }
    return Entry(write: "\(range.header.cluster) \(found.modified)", value: value)
  }

  func put(_ key: String, _ value: [UInt8]) async throws {
    _ = try await post("/v3/kv/put", Call(key: Data(key.utf8), value: Data(value), keysOnly: nil), limit: 4096)
  }

  /// Calls `hint` whenever etcd has something to say about the key, until the connection ends. What it says is not looked
  /// at, so that no value, however long, is held in memory.
  func watch(_ key: String, hint: @escaping @Sendable () -> Void) async throws {
    try await exchange("/v3/watch", WatchCall(createRequest: Call(key: Data(key.utf8), value: nil, keysOnly: nil))) { _ in
      hint()
    }
  }

  private struct Call: Encodable, Sendable {
    let key: Data
    let value: Data?
    let keysOnly: Bool?
  }

  private struct WatchCall: Encodable, Sendable { let createRequest: Call }

  private struct RangeAnswer: Decodable {
    struct Header: Decodable {
      let cluster: String
      enum CodingKeys: String, CodingKey { case cluster = "cluster_id" }
    }
    struct Entry: Decodable {
      let modified: String
      let value: Data?
      enum CodingKeys: String, CodingKey { case modified = "mod_revision", value }
    }
    let header: Header
    let kvs: [Entry]?
  }

  private static func tooLong(_ key: String, _ limit: Int) -> VerificationError {
    VerificationError(.limitExceeded, "the value of \(key) is longer than \(limit) bytes")
  }

  // MARK: - HTTP

  private func post(_ path: String, _ call: Call, limit: Int) async throws -> Data {
    let body = Mutex(Data())
    try await exchange(path, call) { piece in
      try body.withLock { body in
        guard body.count + piece.readableBytes <= limit else {
          throw Self.tooLong(String(decoding: call.key, as: UTF8.self), limit / 4 * 3)
        }
        body.append(contentsOf: piece.readableBytesView)
      }
    }
    return body.withLock { $0 }
  }

  /// Posts a call and hands over the body of the answer as it comes: nothing is read ahead of `receive`.
  private func exchange(
    _ path: String, _ call: some Encodable & Sendable, receive: @escaping @Sendable (ByteBuffer) throws -> Void
  ) async throws {
    do {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      let body = ByteBuffer(bytes: try encoder.encode(call))
      var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path)
      head.headers = [
        "host": "\(host):\(port)", "content-type": "application/json", "content-length": "\(body.readableBytes)",
        "connection": "close",
      ]
      let request = [HTTPClientRequestPart.head(head), .body(.byteBuffer(body)), .end(nil)]
      try await connect().executeThenClose { parts, outbound in
        try await outbound.write(contentsOf: request)
        var isWhole = false
        for try await part in parts {
          switch part {
          case .head(let head): try check(head)
          case .body(let piece): try receive(piece)
          case .end: isWhole = true
          }
        }
        try Task.checkCancellation()
        guard isWhole else { throw BackendError(.unreachable, "\(host):\(port) hung up before its answer was whole") }
      }
    } catch let error where error is BackendError || error is VerificationError {
      throw error
    } catch {
      // What a cancelled call throws depends on where it was.
      try Task.checkCancellation()
      let code: BackendError.Code = error is HTTPParserError ? .protocolViolation : .unreachable
      throw BackendError(code, "etcd at \(host):\(port) does not answer; is it running there? (\(error))", underlying: error)
    }
  }

  private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  private func connect() async throws -> Connection {
    // A connection that is being made does not heed its task's cancellation: closing its channel ends it.
    let opening = Mutex<(channels: [any Channel], isCancelled: Bool)>(([], false))
    return try await withTaskCancellationHandler {
      try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .connect(host: host, port: port) { channel in
          channel.eventLoop.makeCompletedFuture {
            let isCancelled = opening.withLock { opening in
              opening.channels.append(channel)
              return opening.isCancelled
            }
            if isCancelled { throw CancellationError() }
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            return try Connection(wrappingChannelSynchronously: channel)
          }
        }
    } onCancel: {
      let channels = opening.withLock { opening in
        opening.isCancelled = true
        return opening.channels
      }
      for channel in channels { channel.close(promise: nil) }
    }
  }

  private func check(_ head: HTTPResponseHead) throws {
    let status = head.status.code
    guard status != 200 else { return }
    let code: BackendError.Code =
      switch status {
      case 401: .unauthorized
      case 403: .forbidden
      case 429: .rateLimited
      case 500...: .serverError
      default: .protocolViolation
      }
    // RFC 9110 section 10.2.3; of its two forms the one that gateways send.
    let wait = head.headers.first(name: "retry-after").flatMap { Int($0) }.map { Duration.seconds($0) }
    throw BackendError(code, "etcd at \(host):\(port) answered \(head.status)", retryAfter: wait)
  }
}
