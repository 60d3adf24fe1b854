import CCurl
import CLinux
import DesiredStateSupport
import Glibc

/// libcurl's multi handle.
///
/// `@unchecked Sendable` is sound because the pointer never changes, and everything but `wake` is called on the engine's
/// thread alone.
final class MultiHandle: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  /// Ends a wait. A pipe takes one system call on either side, curl_multi_wakeup(3) of this libcurl three in all. And the
  /// kernel expects a thread that writes to a pipe to sleep soon: it wakes the reader on the same processor, which takes less
  /// time than eventfd(2), for which it wakes another one.
  private let alarm: (reads: Int32, writes: Int32)

  init(_ configuration: HTTPTransportConfiguration) throws(HTTPTransportError) {
    guard let pointer = curl_multi_init() else {
      throw HTTPTransportError(code: .internalFailure, message: "libcurl is out of memory.", isRetryable: true)
    }
    var ends: [Int32] = [-1, -1]
    guard pipe2(&ends, O_CLOEXEC) == 0 else {
      curl_multi_cleanup(pointer)
      throw HTTPTransportError(
        code: .internalFailure, message: "No pipe can be made (error \(errno)).", isRetryable: true)
    }
    // A pipe that is full rings already.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    alarm = (ends[0], ends[1])
    self.pointer = pointer
    _ = ccurl_multi_set_long(pointer, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    // CURLMOPT_MAX_CONCURRENT_STREAMS(3): by default libcurl opens another connection after 100 exchanges, also where the
    // server lets more of them share one.
    _ = ccurl_multi_set_long(
      pointer, CURLMOPT_MAX_CONCURRENT_STREAMS, max(100, configuration.maximumConcurrentExchanges))
    _ = ccurl_multi_set_long(pointer, CURLMOPT_MAX_HOST_CONNECTIONS, max(1, configuration.maximumConnectionsPerHost))
    // CURLMOPT_MAXCONNECTS(3): otherwise the cache grows with the number of handles.
    _ = ccurl_multi_set_long(pointer, CURLMOPT_MAXCONNECTS, max(8, 2 * configuration.maximumConnectionsPerHost))
  }

  private let isOpen = LockedValue(true)

  /// Does nothing once the handle is closed.
  func wake() {
    isOpen.withLock { isOpen in
      var byte: UInt8 = 0
      if isOpen { write(alarm.writes, &byte, 1) }
    }
  }

  /// Returns when a socket is ready, libcurl has something to do, or ``wake()`` is called, also before this was.
  func wait(milliseconds: Int32) {
    var alarm = curl_waitfd(fd: alarm.reads, events: Int16(CURL_WAIT_POLLIN), revents: 0)
    curl_multi_poll(pointer, &alarm, 1, milliseconds, nil)
    if alarm.revents != 0 { sleepUntilWoken() }
  }

  /// Returns when the time is over, or ``wake()`` is called.
  func sleep(milliseconds: Int32) {
    var alarm = pollfd(fd: alarm.reads, events: Int16(POLLIN), revents: 0)
    poll(&alarm, 1, milliseconds)
    if alarm.revents != 0 { sleepUntilWoken() }
  }

  /// Returns when ``wake()`` is called, or was since the last wait.
  func sleepUntilWoken() {
    var bytes: UInt64 = 0
    read(alarm.reads, &bytes, MemoryLayout.size(ofValue: bytes))
  }

  /// Once, after every easy handle has been removed.
  func close() {
    isOpen.withLock { $0 = false }
    curl_multi_cleanup(pointer)
    Glibc.close(alarm.reads)
    Glibc.close(alarm.writes)
  }
}
