import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server in etcd's place that does what etcd never would: answers with a value that does not end, or asks for patience.
final class StandIn: Sendable {
  /// What it answers to.
  enum Reply: Sendable {
    /// These values by key, and one that goes on and on.
    case values([String: [UInt8]], endless: String)
    /// `503 Service Unavailable`, as a gateway before etcd answers when etcd is overloaded.
    case patience(seconds: Int)
  }

  private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
  private let counted = Mutex<UInt64>(0)
  private let serving = Mutex<Task<Void, Never>?>(nil)

  /// The bytes of bodies that left it.
  var bytes: UInt64 { counted.withLock { $0 } }

  /// Takes its place on a port of 127.0.0.1.
  init(on port: UInt16, answering answer: Reply) async throws {
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .bind(host: "127.0.0.1", port: Int(port)) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          return try Connection(wrappingChannelSynchronously: channel)
        }
      }
    let task = Task { [weak self] in
      _ = try? await server.executeThenClose { connections in
        try await withThrowingDiscardingTaskGroup { group in
          for try await connection in connections {
            // A client that hangs up in the middle is waited for.
            group.addTask { try? await self?.serve(connection, answer) }
          }
        }
      }
    }
    serving.withLock { $0 = task }
  }

  /// Leaves its place; it is free when this returns.
  func stop() async {
    let task = serving.withLock { $0.take() }
    task?.cancel()
    await task?.value
  }

  private func serve(_ connection: Connection, _ answer: Reply) async throws {
    try await connection.executeThenClose { parts, outbound in
      var body = ByteBuffer()
      for try await part in parts {
        if case .body(let piece) = part { body.writeImmutableBuffer(piece) }
        guard case .end = part else { continue }
        guard case .values(let values, let endless) = answer else {
          guard case .patience(let seconds) = answer else { return }
          let headers: HTTPHeaders = ["retry-after": "\(seconds)", "content-length": "0"]
          try await outbound.write(.head(.init(version: .http1_1, status: .serviceUnavailable, headers: headers)))
          return try await outbound.write(.end(nil))
        }
        struct Call: Decodable { var key: Data }
        let key = try JSONDecoder().decode(Call.self, from: Data(body.readableBytesView)).key
        let name = String(decoding: key, as: UTF8.self)
        try await outbound.write(
          .head(.init(version: .http1_1, status: .ok, headers: ["transfer-encoding": "chunked"])))
        try await write(#"{"header":{"cluster_id":"1"},"kvs":[{"mod_revision":"1","value":""#, to: outbound)
        let piece = String(repeating: "QUFB", count: 16384)
        while name == endless { try await write(piece, to: outbound) }
        try await write(Data(values[name] ?? []).base64EncodedString() + #""}]}"#, to: outbound)
        return try await outbound.write(.end(nil))
      }
    }
  }

  private func write(_ text: String, to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>) async throws {
    try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text))))
    counted.withLock { $0 += UInt64(text.utf8.count) }
  }
}
