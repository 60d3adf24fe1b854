import ArgumentParser
import DesiredState
import DesiredStateSupport

struct FollowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "follow", abstract: "Follows a source: verifies what it publishes, adopts it, and keeps it in place.",
    discussion: """
      SOURCE is a path or file: URL of a drop directory, a .tar.gz of one, or a plain directory (with \
      --accept-unsigned); or the https: URL of a drop's manifest.json (with ?receipts=URL if acknowledgements are to be \
      PUT there); or a Margo fleet manager, margo+https://host (with ?client=ID for the client-id form); or a Git repository, \
      git+https://host/path, git+ssh://user@host/path or git+file:///path, with ?ref=BRANCH-OR-TAG&path=DIRECTORY. \
      Several are tried in the order given. SIGTERM and Ctrl-C end the loop with status 0. \
      Files of keys, certificates and tokens are read again when they change; SIGHUP reads all of them and looks now. \
      A file of settings has a line 'name = value' for each, the names those of the options without their dashes, and \
      'source = SOURCE'. What the command line says counts before it. 'check' says what is wrong in it.
      """)

  @Argument(help: "Where desired state is published.") var sources: [String]
  @Option(help: ArgumentHelp("Read settings from this file.", valueName: "file")) var config: String?
  @Option(help: "The directory that keeps the adopted state; created if it is not there.") var store: String
  @Option(help: "Keep DIR/current, a symbolic link to a directory with each document as a file named by its id.")
  var into: String?
  @Option(
    help: ArgumentHelp(
      "Let the store have this many bytes at most: 500M, 2G. (default: what the disk has)", valueName: "size"))
  var maxStore: ByteCount?
  @Option(help: ArgumentHelp("How many states to keep, to go back to.", valueName: "number")) var keep = 2
  @Option(
    help: ArgumentHelp(
      "Send acknowledgements there, and not to the sources. Repeatable: the first that takes one gets it.",
      valueName: "source"))
  var acknowledgeTo: [String] = []
  @Option(
    help: ArgumentHelp(
      "Report this device to Margo fleet managers, and those behind it: an object of capabilities, or an array (JSON). Sent first, and again when the file changes.",
      valueName: "file"))
  var capabilities: String?
  @Flag(help: "Look once, and end with a status that says how it went.") var once = false
  @OptionGroup var timing: ScheduleOptions
  @OptionGroup var hooks: HookOptions
  @OptionGroup var trust: TrustOptions
  @OptionGroup var transport: TransportOptions
  @OptionGroup var receipts: ReceiptOptions
  @OptionGroup var limits: LimitOptions
  @OptionGroup var agent: AgentOptions
  @Flag(help: "Print one JSON object a line, each poll's. (default: a line for each change)") var json = false

  func validate() throws {
    guard (1...100).contains(keep) else { throw ValidationError("--keep must be 1 to 100.") }
  }

  func run() async throws {
    let output = Output(isJSON: json, repetitions: once ? nil : Repetitions())
    let manager = ServiceNotifier()
    let tree = into.map(CurrentTree.init)
    let files = try await TrustFiles(trust)
    var settings = Reconciler.Configuration(
      policy: await files.current(), device: agent.deviceName, schedule: try await timing.schedule(),
      timeout: agent.timeout.duration, limits: limits.limits,
      logger: agent.logger())
    settings.currentPolicy = { await files.current() }
    settings.preference = timing.prefer
    settings.trial = hooks.reconcilerTrial
    // A person may wait for a single poll; a loop is left to itself.
    let progress = once ? Progress("fetching") : nil
    if let progress { settings.watchReading = { progress.add($0, of: $1) } }
    let applyHook = hooks.applyHook(into: into, device: agent.deviceName)
    let eventHook = hooks.eventHook
    // All at once, so that an option counts as used that any of them uses.
    let backends = try agent.backends(
      for: sources + acknowledgeTo, over: transport, receipts: receipts, store: store, capabilities: capabilities)
    let running = LockedValue<Reconciler?>(nil)
    let work: @Sendable () async throws -> Void = { [settings] in
      try await reporting {
        let store = try await StateStore.open(store, keeping: keep, maximumSize: maxStore?.bytes)
        var configuration = settings
        if let tree {
          configuration.isStillApplied = { applied in
            await tree.holds(applied.revision) { try await store.documents(of: applied.revision) }
          }
        }
        let reconciler = Reconciler(
          sources: Array(backends.prefix(sources.count)),
          acknowledgingTo: acknowledgeTo.isEmpty ? nil : Array(backends.dropFirst(sources.count)),
          store: store, configuration: configuration,
          observe: { event in
            guard let line = EventLine(event) else { return }
            progress?.end()
            output.write(line)
            eventHook?.take(line)
            manager.status(line.text)
          }
        ) { update in
          try await tree?.put(update)
          try await applyHook?.apply(update)
        }
        running.withLock { $0 = reconciler }
        defer { running.withLock { $0 = nil } }
        guard !once else { return try await reconciler.runOnce().throwExitCode() }
        manager.tell("READY=1")
        await withTaskGroup(of: Void.self) { group in
          // A store that does not answer any more is a process that hangs.
          group.addTask { await manager.watch { _ = await store.adopted } }
          await reconciler.run()
          group.cancelAll()
        }
      }
    }
    do {
      let readAgain: @Sendable () -> Void = {
        files.invalidate()
        for backend in backends { backend.reload() }
        running.withLock { $0 }?.lookNow()
      }
      let result = await Task { try await endingOnSignals(onHangup: readAgain, work) }.result
      manager.tell("STOPPING=1")
      await eventHook?.finish()
      try result.get()
    } catch is CancellationError {
      // A loop that was asked to end has done so; a single poll that was interrupted did not finish.
      if once {
        Output.complain(
          "interrupted; the state that was adopted before stands. What was fetched is kept for the next poll.")
        throw ExitCode.failure
      }
    }
  }
}

/// Runs a command's work, and turns an error of this device into a sentence and exit status 1.
func reporting(_ work: () async throws -> Void) async throws {
  do {
    try await work()
  } catch let error as StoreError {
    Output.complain(error)
    throw ExitCode.failure
  } catch let error as FileError {
    Output.complain(error)
    throw ExitCode.failure
  }
}

extension Reconciler.Outcome {
  func throwExitCode() throws {
    switch self {
    // What waits by the operator's own word is as it should be.
    case .current, .held, .resting: break
    case .rejected: throw ExitCode.rejected
    case .unavailable: throw ExitCode.unavailable
    case .absent: throw ExitCode.absent
    case .applyFailed: throw ExitCode.failure
    }
  }
}
