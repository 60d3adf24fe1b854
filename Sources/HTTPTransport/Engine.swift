import CCurl
import DesiredStateSupport
import Glibc

/// Drives libcurl's multi interface on a thread of its own, for any number of tasks and threads.
///
/// This side may be called from anywhere: it only leaves orders and wakes the thread.
final class Engine: Sendable {
  enum Order: Sendable {
    case start(Transfer)
    case cancel(Transfer)
    case abandon(Transfer)
    case resumeReceiving(Transfer)
  }

  private struct Inbox: Sendable {
    var orders: [Order] = []
    var isStopping = false
    /// No new exchange begins here.
    var isRetired = false
    /// When the first exchange began.
    var begun: ContinuousClock.Instant?
    var hasEnded = false
    var endWaiters: [CheckedContinuation<Void, Never>] = []
  }

  let configuration: HTTPTransportConfiguration
  let meter: WireMeter
  let files: TLSFiles
  let secrets: SecretFiles
  private let inbox = LockedValue(Inbox())
  private let multi: MultiHandle

  init(
    configuration: HTTPTransportConfiguration, meter: WireMeter, files: TLSFiles, secrets: SecretFiles
  ) throws(HTTPTransportError) {
    self.configuration = configuration
    self.meter = meter
    self.files = files
    self.secrets = secrets
    multi = try MultiHandle(configuration)
    try startThread()
  }

  /// Makes libcurl and OpenSSL ready: once in a program, before anything else of theirs (curl_global_init(3)).
  static func prepareLibraries() throws(HTTPTransportError) {
    guard globalCode == CURLE_OK else {
      throw HTTPTransportError(code: .internalFailure, message: "libcurl cannot be initialized.")
    }
  }

  private static let globalCode = {
    guard TLSLibrary.prepare() else { return CURLE_FAILED_INIT }
    return curl_global_init(Int(CURL_GLOBAL_DEFAULT))
  }()

  private func startThread() throws(HTTPTransportError) {
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        // Signals are for the program's other threads. SIGPIPE in particular: with CURLOPT_NOSIGNAL libcurl
        // leaves it alone, and a blocked one lets a write to a closed socket fail as an error.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        pthread_setname_np(pthread_self(), "http-transport")
        let engine = Unmanaged<Engine>.fromOpaque(context).takeRetainedValue()
        EngineLoop(engine).run()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    guard code == 0 else {
      Unmanaged.passUnretained(self).release()
      throw HTTPTransportError(
        code: .internalFailure, message: "No thread can be started (error \(code)).", isRetryable: true)
    }
    pthread_detach(thread)
  }

  /// Whether exchanges may still begin here: connections have an age, and one that fell silent is not used again.
  func takesMore(_ now: ContinuousClock.Instant) -> Bool {
    inbox.withLock { inbox in
      if inbox.isRetired { return false }
      guard let begun = inbox.begun else {
        inbox.begun = now
        return true
      }
      return now - begun < configuration.connectionLifetime
    }
  }

  /// Lets no new exchange begin: the transport makes another engine for them, with new connections. Those under way go on.
  func retire() { inbox.withLock { $0.isRetired = true } }

  /// Begins an exchange. One after the engine has stopped fails at once.
  func start(_ plan: RequestPlan) -> Transfer {
    let transfer = Transfer(plan: plan, engine: self)
    if !post(.start(transfer)) { _ = transfer.finish(.failure(.shutDown)) }
    return transfer
  }

  /// Leaves an order for the thread. False when it has stopped, and will not read it.
  @discardableResult
  func post(_ order: Order) -> Bool {
    let (isTaken, isFirst) = inbox.withLock { inbox in
      guard !inbox.isStopping else { return (false, false) }
      inbox.orders.append(order)
      return (true, inbox.orders.count == 1)
    }
    // Not under the lock, which is the first thing the woken thread asks for.
    if isFirst { multi.wake() }
    return isTaken
  }

  /// Fails everything under way with `shut-down` and ends the thread, soon.
  func stop() {
    inbox.withLock { $0.isStopping = true }
    multi.wake()
  }

  var hasEnded: Bool { inbox.withLock { $0.hasEnded } }

  /// Returns when the thread has let go of every connection.
  func waitForEnd() async {
    await withCheckedContinuation { continuation in
      let hasEnded = inbox.withLock { inbox in
        if !inbox.hasEnded { inbox.endWaiters.append(continuation) }
        return inbox.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }

  // MARK: For the engine's thread

  func takeOrders() -> (orders: [Order], isStopping: Bool) {
    inbox.withLock { inbox in
      defer { inbox.orders = [] }
      return (inbox.orders, inbox.isStopping)
    }
  }

  func wait(milliseconds: Int32) { multi.wait(milliseconds: milliseconds) }

  /// Waits without an eye on the sockets.
  func sleep(milliseconds: Int32) { multi.sleep(milliseconds: milliseconds) }

  func sleepUntilWoken() { multi.sleepUntilWoken() }

  func end() {
    multi.close()
    // OPENSSL_thread_stop(3): frees what OpenSSL keeps for this thread. It would do so itself when the thread
    // ends, but not if the program ends first.
    OPENSSL_thread_stop()
    let waiters = inbox.withLock { inbox in
      inbox.hasEnded = true
      defer { inbox.endWaiters = [] }
      return inbox.endWaiters
    }
    for waiter in waiters { waiter.resume() }
  }

  var multiPointer: UnsafeMutableRawPointer { multi.pointer }
}

/// Keeps the engine's thread running for as long as anything holds this.
final class EngineOwner: Sendable {
  let engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  deinit { engine.stop() }
}
