import ArgumentParser
import Dispatch
import Glibc

/// Runs work that ends in good order, with `CancellationError`, when the process is asked to end (SIGTERM, SIGINT), in place
/// of ending in the middle of something.
///
/// - Parameter onHangup: what SIGHUP does, which ends the process otherwise.
func endingOnSignals<Value: Sendable>(
  onHangup: (@Sendable () -> Void)? = nil, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let task = Task { try await work() }
  let hangup = onHangup.map { action in
    signal(SIGHUP, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
    source.setEventHandler(handler: action)
    source.resume()
    return source
  }
  defer { withExtendedLifetime(hangup) {} }
  let sources = [SIGTERM, SIGINT].map { number in
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler { task.cancel() }
    source.resume()
    return source
  }
  defer { withExtendedLifetime(sources) {} }
  return try await task.value
}

/// Runs work that ends in good order on SIGTERM and SIGINT, and then says what stands.
///
/// - Throws: what the work throws; an exit status in place of `CancellationError`.
func interruptible(_ whatStands: String, _ work: @escaping @Sendable () async throws -> Void) async throws {
  do {
    try await endingOnSignals(work)
  } catch is CancellationError {
    Output.complain("interrupted; \(whatStands)")
    throw ExitCode.failure
  }
}
