import DesiredStateSupport

/// Runs the operator's command for each event, one after another, beside the loop.
///
/// A command that is slower than the events loses the oldest of those that wait: the loop is not held up for it, and what
/// stands can be asked of `status`.
final class EventHook: Sendable {
  private let queue: AsyncStream<EventLine>.Continuation
  private let worker: Task<Void, Never>

  init(_ command: HookCommand) {
    let (events, queue) = AsyncStream.makeStream(of: EventLine.self, bufferingPolicy: .bufferingNewest(1000))
    self.queue = queue
    worker = Task {
      for await event in events {
        do {
          let input = try JSON.line(event)
          try await command.run(input: Array((input + "\n").utf8)) { Output.tell($0) }
        } catch is CancellationError {
          return
        } catch {
          Output.complain("\(error), on event \(event.event)")
        }
      }
    }
  }

  func take(_ event: EventLine) { queue.yield(event) }

  /// Waits until every event that was taken is told.
  func finish() async {
    queue.finish()
    await worker.value
  }
}
