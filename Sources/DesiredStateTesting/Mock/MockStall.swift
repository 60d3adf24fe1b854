import DesiredState
import DesiredStateSupport

/// Where operations on a mock source wait while it is stalled.
final class MockStall: Sendable {
  private struct State {
    var stalled: Set<MockBackend.Operation> = []
    var nextID = 0
    var waiting: [Int: (operation: MockBackend.Operation, continuation: CheckedContinuation<Void, Never>)] = [:]
    var watchers: [Int: (count: Int, continuation: CheckedContinuation<Void, Never>)] = [:]
    var cancelled: Set<Int> = []
  }
  private let state = LockedValue(State())

  func isStalled(_ operation: MockBackend.Operation) -> Bool { state.withLock { $0.stalled.contains(operation) } }

  func stall(_ operations: Set<MockBackend.Operation>) { state.withLock { $0.stalled.formUnion(operations) } }

  /// Lets every operation go, and none wait any more.
  func resume() {
    let released = state.withLock { state in
      defer { state.waiting = [:] }
      state.stalled = []
      return state.waiting.values.map(\.continuation)
    }
    for continuation in released { continuation.resume() }
  }

  /// Waits while the operation is stalled.
  func wait(_ operation: MockBackend.Operation) async throws {
    await wait { state, id, continuation in
      guard state.stalled.contains(operation) else { return false }
      state.waiting[id] = (operation, continuation)
      return true
    }
    try Task.checkCancellation()
  }

  /// Waits until at least `count` operations wait here.
  func waitForStalled(_ count: Int) async throws {
    await wait { state, id, continuation in
      guard state.waiting.count < count else { return false }
      state.watchers[id] = (count, continuation)
      return true
    }
    try Task.checkCancellation()
  }

  private func wait(_ enter: (inout State, Int, CheckedContinuation<Void, Never>) -> Bool) async {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let resumed = state.withLock { state -> [CheckedContinuation<Void, Never>] in
          guard !state.cancelled.contains(id), enter(&state, id, continuation) else { return [continuation] }
          let count = state.waiting.count
          let satisfied = state.watchers.filter { $0.value.count <= count }
          for id in satisfied.keys { state.watchers[id] = nil }
          return satisfied.values.map(\.continuation)
        }
        for continuation in resumed { continuation.resume() }
      }
    } onCancel: {
      let continuation = state.withLock { state in
        state.cancelled.insert(id)
        return state.waiting.removeValue(forKey: id)?.continuation
          ?? state.watchers.removeValue(forKey: id)?.continuation
      }
      continuation?.resume()
    }
    state.withLock { _ = $0.cancelled.remove(id) }
  }
}
