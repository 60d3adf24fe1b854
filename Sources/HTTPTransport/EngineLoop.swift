import CCurl

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
final class EngineLoop {
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
        expire(.now)
        wakeWaiters()
        engine.sleep(milliseconds: pause)
        continue
      }
      var count: Int32 = 0
      let code = curl_multi_perform(multi, &count)
      if code != CURLM_OK { failAll(code) }
      let hasFinished = readMessages()
      let now = ContinuousClock.now
      expire(now)
      endStalled(now)
      wakeWaiters()
      throttle?.count(bytesSoFar)
      if running.isEmpty && queue.isEmpty {
        // Without a transfer libcurl waits for nothing.
        engine.sleepUntilWoken()
      } else if !(hasFinished && !queue.isEmpty || hasMoreToDo) {
        engine.wait(milliseconds: timeout(now))
      }
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

  private func timeout(_ now: ContinuousClock.Instant) -> Int32 {
    guard var next = nextDeadline ?? nextStallLook else { return 3_600_000 }
    if let nextStallLook, nextStallLook < next { next = nextStallLook }
    return Int32(clamping: min(3_600_000, (next - now).milliseconds + 1))
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
    guard !queue.isEmpty else { return }
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
  private func expire(_ now: ContinuousClock.Instant) {
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

  /// Looks at every transfer now and then.
  private func endStalled(_ now: ContinuousClock.Instant) {
    guard let stallInterval, !running.isEmpty else { return }
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
