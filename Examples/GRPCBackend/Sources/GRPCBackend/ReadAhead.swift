import DesiredState
import NIOConcurrencyHelpers

/// Reads the small documents that will be wanted next while one is taken: one after the other, each would cost a round trip.
final class ReadAhead: Sendable {
  typealias Read = @Sendable (DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error>

  /// With ``smallSize``, half a mebibyte at most is held: what a slow line brings in a few seconds.
  private static let window = 32
  private static let smallSize = 16 << 10

  private struct State {
    var rest: ArraySlice<DocumentReference> = []
    var underWay: [Digest: Task<[UInt8]?, any Error>] = [:]
  }

  private let state = NIOLockedValueBox(State())
  private let read: Read

  init(_ read: @escaping Read) { self.read = read }

  deinit {
    for task in state.withLockedValue({ $0.underWay.values }) { task.cancel() }
  }

  /// Says which documents will be wanted, in their order.
  func announce(_ documents: [DocumentReference]) {
    let left = state.withLockedValue { state in
      defer { state = State(rest: documents[...]) }
      return state.underWay.values
    }
    for task in left { task.cancel() }
  }

  /// The bytes of a document that was read ahead; nil if it was not, or is longer than it said.
  func take(_ document: DocumentReference) async throws -> [UInt8]? {
    let task = state.withLockedValue { state in
      fill(&state)
      let task = state.underWay.removeValue(forKey: document.digest)
      fill(&state)
      return task
    }
    guard let task else { return nil }
    return try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  private func fill(_ state: inout State) {
    while state.underWay.count < Self.window, let next = state.rest.popFirst() {
      guard let size = next.advisorySize, size <= Self.smallSize, state.underWay[next.digest] == nil else { continue }
      state.underWay[next.digest] = Task { [read] in
        var bytes: [UInt8] = []
        for try await piece in try await read(next) {
          bytes += piece
          // What a document says of its size is not relied on.
          if bytes.count > Self.smallSize { return nil }
        }
        return bytes
      }
    }
  }
}
