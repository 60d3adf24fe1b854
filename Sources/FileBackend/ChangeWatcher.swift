import CLinux
import DesiredState
import DesiredStateSupport
import Dispatch
import Glibc

/// Watches a path by inotify(7) and hints when something about it has changed.
///
/// A hint comes at once when the manifest, a signature or a bundle changes, and at most ten times a second while
/// documents pour in. What inotify does not see costs an interval, no more: changes made on another machine of a network
/// file system, and a directory far above the path being moved.
///
/// One thread waits for all of it, and ends with the stream.
final class ChangeWatcher: Sendable {
  private let source: String
  private let inotify: OpenFile
  /// Closing the writing end is how the thread is told to stop.
  private let stopped: Pipe
  private let continuation: AsyncStream<Void>.Continuation

  /// A stream of hints, or nil if this system has no inotify or none left for this user.
  ///
  /// - Parameter seen: the fingerprint of the state at the last poll. If something else is there when the watch
  ///   begins, that is the first hint.
  static func hints(at source: String, seen: @escaping @Sendable () -> String?) -> AsyncStream<Void>? {
    let descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard descriptor >= 0 else { return nil }
    let inotify = OpenFile(adopting: descriptor, path: "inotify")
    // Whether a watch can be had is tried out on a directory that is never on a network.
    let trial = inotify_add_watch(inotify.descriptor, "/", UInt32(IN_DELETE_SELF))
    guard trial >= 0, let pipe = Pipe() else { return nil }
    inotify_rm_watch(inotify.descriptor, trial)
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let watcher = ChangeWatcher(source, inotify, pipe, continuation)
    continuation.onTermination = { _ in watcher.stopped.closeWriting() }
    DispatchQueue(label: "desired-state.file.watch").async { watcher.watch(seen: seen()) }
    return stream
  }

  private init(
    _ source: String, _ inotify: consuming OpenFile, _ stopped: Pipe, _ continuation: AsyncStream<Void>.Continuation
  ) {
    self.source = source
    self.inotify = inotify
    self.stopped = stopped
    self.continuation = continuation
  }

  // MARK: - On the thread

  private func watch(seen: String?) {
    // proc(5): polling this file for an exceptional condition tells that something was mounted or unmounted. Where it
    // cannot be opened, its descriptor is -1, which poll(2) ignores.
    let mounts = OpenFile(adopting: open("/proc/self/mounts", O_RDONLY | O_CLOEXEC), path: "/proc/self/mounts")
    var watches = Watches(source)
    watches.arm(inotify.descriptor)
    if watches.mayHaveChanged(since: seen) { continuation.yield() }
    /// When a hint is due that was put off.
    var due: ContinuousClock.Instant?
    while true {
      var waiting = [
        pollfd(fd: inotify.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: stopped.reading, events: 0, revents: 0),
        pollfd(fd: mounts.descriptor, events: Int16(POLLPRI), revents: 0),
      ]
      let timeout = due.map { max(0, Int32(($0 - .now).timeInterval * 1000) + 1) } ?? -1
      guard poll(&waiting, 3, timeout) >= 0 || errno == EINTR else { return continuation.finish() }
      if waiting[1].revents != 0 { return }
      var change = waiting[0].revents != 0 ? watches.read(inotify.descriptor) : .none
      if waiting[2].revents != 0 { change = max(change, watches.isElsewhere() ? .structure : .none) }
      if change == .structure { watches.arm(inotify.descriptor) }
      switch change {
      case .structure, .state:
        due = nil
        continuation.yield()
      case .documents: due = due ?? .now + .milliseconds(100)
      case .none: break
      }
      if let time = due, time <= .now {
        due = nil
        continuation.yield()
      }
    }
  }

  /// A pipe of which the writing end is closed once, to wake the poller of the reading end.
  private final class Pipe: Sendable {
    let reading: Int32
    private let writing: LockedValue<Int32?>

    init?() {
      var ends: [Int32] = [0, 0]
      guard pipe2(&ends, O_CLOEXEC) == 0 else { return nil }
      reading = ends[0]
      writing = LockedValue(ends[1])
    }

    deinit {
      closeWriting()
      close(reading)
    }

    func closeWriting() {
      writing.withLock { writing in
        if let descriptor = writing { close(descriptor) }
        writing = nil
      }
    }
  }
}
