import AsyncAlgorithms
import DesiredState
import GRPCCore
import GRPCFleet

/// The documents of one state, each a stream of pieces. A piece is asked of the stream when the one before is taken: what the
/// reader does not want stays at the service. Small ones are read ahead.
struct GRPCDocuments: DocumentReader {
  private let timeout: Duration
  private let read: @Sendable (DocumentReference, UInt64) -> any AsyncSequence<[UInt8], any Error>
  private let ahead: ReadAhead

  init(channel: FleetChannel, device: String, timeout: Duration) {
    self.timeout = timeout
    let read = { @Sendable (document: DocumentReference, offset: UInt64) in
      Self.pieces(of: document, from: offset, channel: channel, device: device, stall: timeout)
    }
    self.read = read
    ahead = ReadAhead { read($0, 0) }
  }

  func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] {
    ahead.announce(documents)
    return documents
  }

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let bytes = try await withTimeout(timeout) { [ahead] in try await ahead.take(document) }
    if let bytes {
      return AsyncThrowingStream {
        $0.yield(bytes)
        $0.finish()
      }
    }
    return read(document, 0)
  }

  func open(
    _ document: DocumentReference, from offset: UInt64
  ) async throws -> any AsyncSequence<[UInt8], any Error> {
    read(document, offset)
  }

  private static func pieces(
    of document: DocumentReference, from offset: UInt64, channel: FleetChannel, device: String, stall: Duration
  ) -> any AsyncSequence<[UInt8], any Error> {
    let ask = Plant_State_V1_ReadRequest.with {
      $0.device = device
      $0.path = document.url ?? DropLayout.document(document.digest)
      $0.offset = offset
    }
    let pieces = AsyncThrowingChannel<[UInt8], any Error>()
    let reading = Task {
      do {
        try await channel.call { fleet, options in
          try await fleet.read(ask, options: options) { response in
            for try await chunk in response.messages { await pieces.send(Array(chunk.bytes)) }
          }
        }
        pieces.finish()
      } catch let error as BackendError where (error.underlying as? RPCError)?.code == .notFound {
        pieces.fail(VerificationError(.documentMissing, "the fleet service has no \(ask.path) (yet)"))
      } catch {
        pieces.fail(error)
      }
    }
    return Pieces(pieces: pieces, reading: reading, stall: stall)
  }

  /// Ends the stream when the reader lets go of it, and when nothing comes for too long.
  private struct Pieces: AsyncSequence {
    let pieces: AsyncThrowingChannel<[UInt8], any Error>
    let reading: Task<Void, Never>
    let stall: Duration

    final class AsyncIterator: AsyncIteratorProtocol {
      private let pieces: AsyncThrowingChannel<[UInt8], any Error>
      private let reading: Task<Void, Never>
      private let stall: Duration

      init(_ sequence: Pieces) {
        pieces = sequence.pieces
        reading = sequence.reading
        stall = sequence.stall
      }

      deinit { reading.cancel() }

      func next() async throws -> [UInt8]? {
        let pieces = pieces
        return try await withTimeout(stall) {
          var iterator = pieces.makeAsyncIterator()
          return try await iterator.next()
        }
      }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
  }
}
