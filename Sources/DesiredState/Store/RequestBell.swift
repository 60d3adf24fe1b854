import DesiredStateSupport
import Dispatch
import Glibc

/// Wakes an agent when a request is left for it: a FIFO beside the requests, read by the agent and written to by the
/// command. It carries no message; the file beside it does.
enum RequestBell {
  private static func path(in directory: String) -> String { Files.join(directory, "bell") }

  /// A value whenever the bell is rung.
  static func hints(in directory: String) -> AsyncStream<Void>? {
    let path = path(in: directory)
    guard mkfifo(path, 0o600) == 0 || errno == EEXIST else { return nil }
    // fifo(7): opened for both, it never comes to an end, and opening does not wait for a writer.
    let descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    return AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
      source.setEventHandler {
        var buffer = [UInt8](repeating: 0, count: 256)
        while read(descriptor, &buffer, buffer.count) > 0 {}
        continuation.yield()
      }
      source.setCancelHandler { close(descriptor) }
      source.resume()
      // Sound: a dispatch source may be cancelled from any thread; on Linux it is only not marked so.
      nonisolated(unsafe) let running = source
      continuation.onTermination = { _ in running.cancel() }
    }
  }

  /// Rings, if an agent listens.
  static func ring(in directory: String) {
    // fifo(7): without a reader, opening for writing only fails with ENXIO and does not wait.
    let descriptor = open(path(in: directory), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    var byte: UInt8 = 1
    _ = write(descriptor, &byte, 1)
    close(descriptor)
  }
}
