import Dispatch
import Glibc

/// Runs work that ends in good order, with `CancellationError`, when the process is asked to end (SIGTERM, SIGINT), in place
/// of ending in the middle of something.
func endingOnSignals(_ work: @escaping @Sendable () async throws -> Void) async throws {
  let task = Task { try await work() }
  let sources = [SIGTERM, SIGINT].map { number in
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler { task.cancel() }
    source.resume()
    return source
  }
  defer { withExtendedLifetime(sources) {} }
  try await task.value
}
