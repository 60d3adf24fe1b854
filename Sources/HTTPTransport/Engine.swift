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
    // OPENSSL_init_crypto(3): by default OpenSSL frees its tables in an atexit handler, while threads that have used it may
    // still be ending; such a thread then takes the process down after its work is done. The first call decides.
    guard OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1 else { return CURLE_FAILED_INIT }
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

  fileprivate func takeOrders() -> (orders: [Order], isStopping: Bool) {
    inbox.withLock { inbox in
      defer { inbox.orders = [] }
      return (inbox.orders, inbox.isStopping)
    }
  }

  fileprivate func wait(milliseconds: Int32) { multi.wait(milliseconds: milliseconds) }

  /// Waits without an eye on the sockets.
  fileprivate func sleep(milliseconds: Int32) { multi.sleep(milliseconds: milliseconds) }

  fileprivate func end() {
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

  fileprivate var multiPointer: UnsafeMutableRawPointer { multi.pointer }
}

/// Keeps the engine's thread running for as long as anything holds this.
final class EngineOwner: Sendable {
  let engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  deinit { engine.stop() }
}

/// libcurl's multi handle.
///
/// `@unchecked Sendable` is sound because the pointer never changes, and everything but `wake` is called on the engine's
/// thread alone.
private final class MultiHandle: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  /// Ends a wait. An eventfd(2) takes one system call on either side, curl_multi_wakeup(3) of this libcurl three in all.
  private let alarm: Int32

  init(_ configuration: HTTPTransportConfiguration) throws(HTTPTransportError) {
    guard let pointer = curl_multi_init() else {
      throw HTTPTransportError(code: .internalFailure, message: "libcurl is out of memory.", isRetryable: true)
    }
    alarm = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard alarm >= 0 else {
      curl_multi_cleanup(pointer)
      throw HTTPTransportError(
        code: .internalFailure, message: "No event descriptor can be made (error \(errno)).", isRetryable: true)
    }
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
    isOpen.withLock { if $0 { eventfd_write(alarm, 1) } }
  }

  /// Returns when a socket is ready, libcurl has something to do, or ``wake()`` is called, also before this was.
  func wait(milliseconds: Int32) {
    var alarm = curl_waitfd(fd: alarm, events: Int16(CURL_WAIT_POLLIN), revents: 0)
    curl_multi_poll(pointer, &alarm, 1, milliseconds, nil)
    var count: eventfd_t = 0
    if alarm.revents != 0 { eventfd_read(alarm.fd, &count) }
  }

  /// Returns when the time is over, or ``wake()`` is called.
  func sleep(milliseconds: Int32) {
    var alarm = pollfd(fd: alarm, events: Int16(POLLIN), revents: 0)
    poll(&alarm, 1, milliseconds)
    var count: eventfd_t = 0
    if alarm.revents != 0 { eventfd_read(alarm.fd, &count) }
  }

  /// Once, after every easy handle has been removed.
  func close() {
    isOpen.withLock { $0 = false }
    curl_multi_cleanup(pointer)
    Glibc.close(alarm)
  }
}

/// What transfers may use of the engine on its thread.
final class EngineContext {
  let engine: Engine
  let configuration: HTTPTransportConfiguration
  let meter: WireMeter
  let secrets: SecretFiles
  /// What certificates and keys connections are made with: the same for as long as the engine lives.
  var material: TLSMaterial?
  /// Origins that have asked for a client certificate when there was none.
  var askingOrigins: Set<HTTPOrigin> = []
  /// To be woken before the thread goes to sleep.
  var waiters: [CheckedContinuation<Void, Never>] = []
  /// What OpenSSL found wrong with a certificate, by the easy handle that was connecting.
  var verificationFailures: [UnsafeMutableRawPointer: Int32] = [:]

  init(_ engine: Engine) {
    self.engine = engine
    configuration = engine.configuration
    meter = engine.meter
    secrets = engine.secrets
  }
}

/// The engine's thread: everything in here happens on it alone.
private final class EngineLoop {
  private let engine: Engine
  private let context: EngineContext
  private let multi: UnsafeMutableRawPointer
  private var running: [UnsafeMutableRawPointer: RunningTransfer] = [:]
  private var handles: [ObjectIdentifier: UnsafeMutableRawPointer] = [:]
  private var queue: [Transfer] = []
  private var spareHandles: [EasyHandle] = []
  private var nextDeadline: ContinuousClock.Instant?
  private var nextStallLook: ContinuousClock.Instant?
  private let stallInterval: Duration?
  private var throttle: Throttle?
  /// Of all transfers that are over.
  private var finishedBytes: Int64 = 0

  init(_ engine: Engine) {
    self.engine = engine
    context = EngineContext(engine)
    multi = engine.multiPointer
    stallInterval = engine.configuration.stallLimit.map(StallDetector.interval)
    throttle = engine.configuration.maximumBytesPerSecond.map(Throttle.init)
  }

  func run() {
    while true {
      let (orders, isStopping) = engine.takeOrders()
      for order in orders { carryOut(order) }
      if isStopping { break }
      admit()
      if let pause = throttle?.pause(.now) {
        // Nothing is read meanwhile: the kernel's buffers fill, and the other side is held back.
        expire()
        wakeWaiters()
        engine.sleep(milliseconds: pause)
        continue
      }
      var count: Int32 = 0
      let code = curl_multi_perform(multi, &count)
      if code != CURLM_OK { failAll(code) }
      let hasFinished = readMessages()
      expire()
      endStalled()
      wakeWaiters()
      throttle?.count(bytesSoFar)
      if hasFinished && !queue.isEmpty || hasMoreToDo { continue }
      engine.wait(milliseconds: timeout)
    }
    for transfer in running.values { transfer.end(.shutDown) }
    for transfer in queue { context.waiters += transfer.finish(.failure(.shutDown)) }
    for entry in running { curl_multi_remove_handle(multi, entry.key) }
    running = [:]
    spareHandles = []
    wakeWaiters()
    engine.end()
  }

  private var bytesSoFar: Int64 { finishedBytes + running.values.reduce(0) { $0 + $1.byteCount } }

  /// Whether libcurl wants to go on at once (curl_multi_timeout(3)), as it does between the end of an answer and saying so:
  /// waiting for sockets would be a system call for nothing.
  private var hasMoreToDo: Bool {
    var milliseconds = -1
    curl_multi_timeout(multi, &milliseconds)
    return milliseconds == 0
  }

  private func wakeWaiters() {
    for waiter in context.waiters { waiter.resume() }
    context.waiters.removeAll(keepingCapacity: true)
  }

  private var timeout: Int32 {
    guard var next = nextDeadline ?? nextStallLook else { return 3_600_000 }
    if let nextStallLook, nextStallLook < next { next = nextStallLook }
    return Int32(clamping: min(3_600_000, (next - .now).milliseconds + 1))
  }

  private func carryOut(_ order: Engine.Order) {
    switch order {
    case .start(let transfer): queue.append(transfer)
    case .cancel(let transfer):
      // A caller with a time limit of its own gave up on a connection that says nothing.
      if let running = running(transfer), running.isSilent { engine.retire() }
      remove(transfer)
    case .abandon(let transfer):
      guard let running = running(transfer) else {
        remove(transfer)
        return
      }
      running.discardRest()
      schedule(running.deadline)
      endIfStopped(running)
    case .resumeReceiving(let transfer):
      guard let running = running(transfer) else { return }
      running.resumeReceiving()
      endIfStopped(running)
    }
  }

  private func endIfStopped(_ running: RunningTransfer) {
    guard let failure = running.failure else { return }
    running.end(failure)
    remove(running.transfer)
  }

  private func running(_ transfer: Transfer) -> RunningTransfer? {
    handles[ObjectIdentifier(transfer)].flatMap { running[$0] }
  }

  /// Hands waiting transfers to libcurl, up to the limit.
  private func admit() {
    let limit = max(1, engine.configuration.maximumConcurrentExchanges)
    var admitted = 0
    for transfer in queue {
      guard running.count < limit else { break }
      admitted += 1
      start(transfer)
    }
    queue.removeFirst(admitted)
    // Those that wait have deadlines too.
    for transfer in queue { schedule(transfer.plan.deadline) }
  }

  private func start(_ transfer: Transfer) {
    do throws(HTTPTransportError) {
      let material = try engine.files.current()
      if let mine = context.material, mine !== material {
        // Certificates or keys have changed: connections made with the old ones are not used again.
        engine.retire()
        throw .moved
      }
      context.material = material
      let spare = spareHandles.popLast()
      let easy = if let spare { spare } else { try EasyHandle(context, material) }
      let next = try RunningTransfer(transfer, easy: easy, context: context)
      // curl_multi_add_handle(3): the handle is now the multi handle's until it is removed.
      let code = curl_multi_add_handle(multi, easy.pointer)
      guard code == CURLM_OK else { throw Self.error(code) }
      running[easy.pointer] = next
      handles[ObjectIdentifier(transfer)] = easy.pointer
      schedule(next.deadline)
    } catch {
      context.waiters += transfer.finish(.failure(error))
    }
  }

  /// Takes a transfer out of libcurl's hands; an unfinished one loses its connection, or its HTTP/2 stream.
  private func remove(_ transfer: Transfer) {
    guard let pointer = handles.removeValue(forKey: ObjectIdentifier(transfer)),
      let finished = running.removeValue(forKey: pointer)
    else {
      queue.removeAll { $0 === transfer }
      return
    }
    finishedBytes += finished.byteCount
    curl_multi_remove_handle(multi, pointer)
    context.verificationFailures[pointer] = nil
    if spareHandles.count < 16 { spareHandles.append(finished.easy) }
  }

  private func readMessages() -> Bool {
    var hasFinished = false
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let pointer = message.pointee.easy_handle else { continue }
      // curl_multi_info_read(3): the message does not survive curl_multi_remove_handle, so it is read first.
      let code = message.pointee.data.result
      guard let finished = running[pointer] else { continue }
      finished.finish(code)
      remove(finished.transfer)
      hasFinished = true
    }
    return hasFinished
  }

  private func schedule(_ deadline: ContinuousClock.Instant) {
    nextDeadline = min(nextDeadline ?? deadline, deadline)
  }

  /// Deadlines are kept here rather than by CURLOPT_TIMEOUT_MS, which does not run while libcurl lets a
  /// transfer wait for a connection.
  private func expire() {
    let now = ContinuousClock.now
    guard let due = nextDeadline, due <= now else { return }
    nextDeadline = nil
    for transfer in queue + running.values.map(\.transfer) {
      let deadline = running(transfer)?.deadline ?? transfer.plan.deadline
      if deadline <= now {
        if running(transfer)?.isAbandoned == false { engine.retire() }
        context.waiters += transfer.finish(.failure(.deadlinePassed("\(transfer.plan.address.origin)")))
        remove(transfer)
      } else {
        schedule(deadline)
      }
    }
  }

  /// Looks at every transfer now and then; not at all while there is none, so that an idle engine sleeps.
  private func endStalled() {
    guard let stallInterval, !running.isEmpty else {
      nextStallLook = nil
      return
    }
    let now = ContinuousClock.now
    if let nextStallLook, nextStallLook > now { return }
    nextStallLook = now + stallInterval
    let count = bytesSoFar
    for transfer in running.values where transfer.isStalled(now, count: count) {
      engine.retire()
      transfer.end(transfer.isFitForAnother ? .moved : .stalled("\(transfer.plan.address.origin)"))
      remove(transfer.transfer)
    }
  }

  private func failAll(_ code: CURLMcode) {
    for transfer in Array(running.values) {
      transfer.end(Self.error(code))
      remove(transfer.transfer)
    }
  }

  private static func error(_ code: CURLMcode) -> HTTPTransportError {
    HTTPTransportError(
      code: .internalFailure, message: "libcurl failed: \(String(cString: curl_multi_strerror(code))).",
      isRetryable: true)
  }
}
