import DesiredStateSupport
import DesiredStateTesting
import Foundation
import Glibc
import Logging

@testable import DesiredState

/// One device, three sources, and everything that goes wrong between them in a year of virtual time.
///
/// All chance comes from one seed and is drawn in one order, so that a story that ends badly is told again by its seed.
/// The device is a real one: its loop, its verifier, its store on a disk. After every step it is checked that nothing was
/// applied that was not published by its signer, that neither floor nor adopted version went back unless an operator or a
/// failed trial said so, that the updates alone (added, modified, removed) bring about what is wanted, that no two applies
/// overlapped, and that what waits to be said is bounded.
final class SimulatedDevice: @unchecked Sendable {
  // Sound: one task tells the story; what the handler and the check touch is behind a lock.
  struct Broken: Error, CustomStringConvertible { let description: String }

  /// What the device's software has become.
  struct Plant: Sendable {
    var installed: [String: Digest] = [:]
    var applied: UInt64?
    var isApplying = false
    var overlaps = 0
    var fault: Fault?
    var foreign: [String] = []
    enum Fault: Sendable { case throwing, halfWay }
  }

  private var chance: SeededGenerator
  private let loopChance: LockedValue<SeededGenerator>
  let clock: VirtualClock
  private let disk: String
  private let path: String
  private let sources: [MockBackend]
  private let plant = LockedValue(Plant())
  private let bad = LockedValue<Set<UInt64>>([])
  private let genuine = LockedValue<[UInt64: [String: Digest]]>([:])
  private(set) var story: [String] = []
  private(set) var steps = 0

  private let preference: Reconciler.SourcePreference
  private let hasTrial: Bool
  private let schedule: Schedule
  private var reconciler: Reconciler?
  private var isSmall = false
  private var isFull = false
  /// Whether the plant runs what the store could not record.
  private var isUnrecorded = false
  /// Whether the disk is one of its own, which can be filled: only where `make simulate` has made that possible.
  private let hasDisk: Bool
  private let isSabotaged: Bool
  private var version: UInt64 = 0
  private var floor: UInt64 = 0
  /// How far the device's own clock is off.
  private let skew = LockedValue<TimeInterval>(0)

  /// - Parameter isSabotaged: whether the device has a fault that must be found.
  init(seed: UInt64, isSabotaged: Bool = false) {
    self.isSabotaged = isSabotaged
    var chance = SeededGenerator(seed: seed)
    loopChance = LockedValue(SeededGenerator(seed: ~seed))
    let shared = "/dev/shm"
    let root = FileManager.default.isWritableFile(atPath: shared) ? shared : NSTemporaryDirectory()
    disk = root + "/device-\(seed)-\(UUID().uuidString)"
    path = disk + "/store"
    mkdir(disk, 0o700)
    hasDisk =
      ProcessInfo.processInfo.environment["SIMULATION_DISKS"] != nil
      && mount("none", disk, "tmpfs", 0, "size=512k") == 0
    let clock = VirtualClock()
    self.clock = clock
    sources = ["mock:first", "mock:second", "mock:stick"].map { MockBackend(source: $0, clock: clock) }
    preference = chance.happens(withProbability: 0.5) ? .newest : .first
    hasTrial = chance.happens(withProbability: 0.4)
    schedule = Schedule(interval: .seconds(Int.random(in: 60...86_400, using: &chance)))
    self.chance = chance
  }

  deinit {
    if hasDisk { umount2(disk, 2) }  // 2 is MNT_DETACH.
    try? FileManager.default.removeItem(atPath: disk)
  }

  // MARK: - The year

  func live() async throws {
    try await start()
    try publish(to: sources, "the first state")
    while clock.now.offset < .seconds(365 * 86_400) {
      clock.advance(by: .seconds(Int.random(in: 60...20 * 86_400, using: &chance)))
      if chance.happens(withProbability: 0.6) { try await somethingHappens() }
      try await look()
    }
    try await recover()
    await reconciler?.store.close()
  }

  /// After the last fault everything comes right by itself.
  private func recover() async throws {
    for source in sources {
      source.recover()
      source.askForPatience(nil)
    }
    plant.withLock { $0.fault = nil }
    skew.withLock { $0 = 0 }
    isSmall = false
    fillDisk(false)
    try await restart()
    try publish(to: sources, "the last state")
    for _ in 0..<60 {
      clock.advance(by: .seconds(3600))
      try await look()
      let isDelivered = try await StoreStatus.read(path).waiting == 0
      if await reconciler?.store.applied?.version == version, plant.withLock({ $0.applied }) == version, isDelivered {
        return
      }
    }
    let status = try await StoreStatus.read(path)
    throw Broken(description: "60 hours after the last fault the device is not on version \(version): \(status)")
  }

  private func look() async throws {
    // A device that could not start for want of space is started again.
    if reconciler == nil { try await start() }
    guard let reconciler else { return }
    steps += 1
    let now = date
    var words = "-"
    do {
      if chance.happens(withProbability: 0.5) {
        words = try await reconciler.runOnce().word
      } else {
        // As the loop does it by itself, with its own patience.
        words = try await reconciler.polls.run(reconciler.poll).word
        _ = try await reconciler.applies.run(reconciler.applyPending)
        _ = try await reconciler.deliveries.run(reconciler.deliver)
      }
    } catch { words = "trouble: \(error)".replacing(disk, with: "DISK") }
    let adopted = await reconciler.store.adopted?.version
    let applied = await reconciler.store.applied?.version
    story.append(
      "\(now.formatted(.iso8601)) looked: \(words); adopted \(adopted.map(String.init) ?? "-"), applied \(applied.map(String.init) ?? "-")"
    )
    try await check(reconciler)
  }

  // MARK: - What goes wrong

  private func somethingHappens() async throws {
    let source = sources[Int.random(in: 0..<3, using: &chance)]
    switch Int.random(in: 0..<22, using: &chance) {
    case 0...3: try publish(to: sources, "a new state")
    case 4: try publish(to: [source], "a new state")
    case 5:
      let isBad = hasTrial
      if isBad { bad.withLock { _ = $0.insert(version + 1) } }
      try publish(to: sources, isBad ? "a state that does not work" : "a new state")
    case 6:
      tell("\(source.source) is unreachable")
      source.becomeUnreachable()
    case 7:
      tell("\(source.source) wants credentials, and asks for an hour")
      source.fail(.fetch, with: BackendError(.unauthorized, "no", retryAfter: .seconds(3600)))
    case 8:
      tell("\(source.source) takes no acknowledgements now")
      source.fail(.acknowledge, with: BackendError(.serverError, "no"))
    case 9, 10:
      tell("all sources are well again")
      for source in sources {
        source.recover()
        source.askForPatience(nil)
      }
    case 11:
      tell("a forger publishes at \(source.source)")
      source.publish(
        TestPublication(
          version: version + 5, documents: ["a": Array("forged".utf8)], signers: [TestSigner("forger@evil.example")]))
    case 12:
      tell("a byte of \(source.source) is wrong")
      let id = source.publication?.documents.keys.sorted().first ?? "a"
      source.corrupt(Bool.random(using: &chance) ? .manifest : .document(id))
    case 13:
      let far = [-40 * 365.0, -30, 0, 0, 0, 200][Int.random(in: 0..<6, using: &chance)]
      tell("the device's clock is \(Int(far)) days off")
      skew.withLock { $0 = far * 86_400 }
    case 14: try await restart()
    case 15:
      let fault: Plant.Fault? = [nil, nil, .throwing, .halfWay][Int.random(in: 0..<4, using: &chance)]
      tell("the handler \(fault.map { "\($0)" } ?? "works")")
      plant.withLock { $0.fault = fault }
    case 16:
      isSmall.toggle()
      tell(isSmall ? "the disk is nearly full" : "the disk has room")
      try await restart()
    case 17:
      tell("an operator goes back")
      do {
        try await reconciler?.rollBack()
      } catch let error as StoreError where error.code == .notKept {
      } catch let error as FileError where error.isNoSpace {}
    case 18:
      tell("an operator resumes")
      do { try await reconciler?.resume() } catch let error as FileError where error.isNoSpace {}
    case 19, 20:
      let isFull = Bool.random(using: &chance)
      tell(isFull ? "something else fills the disk" : "the disk is cleared up")
      fillDisk(isFull)
    default:
      tell("\(source.source) publishes nothing")
      source.publishNothing()
    }
  }

  /// Leaves nothing of the disk for the device, or gives all of it back.
  private func fillDisk(_ isFull: Bool) {
    guard hasDisk else { return }
    self.isFull = isFull
    let ballast = disk + "/ballast"
    guard isFull else {
      unlink(ballast)
      return
    }
    let file = open(ballast, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    let page = [UInt8](repeating: 0, count: 4096)
    while write(file, page, page.count) > 0 {}
    close(file)
  }

  private func tell(_ text: String) { story.append("\(date.formatted(.iso8601)) \(text)") }

  private var date: Date { clock.date.addingTimeInterval(skew.withLock { $0 }) }

  private func publish(to some: [MockBackend], _ words: String) throws {
    version += 1
    var documents: [String: [UInt8]] = [:]
    for id in ["a", "b", "c", "d"] where chance.happens(withProbability: 0.6) {
      documents[id] = Array("\(id) \(Int.random(in: 0..<3, using: &chance))".utf8)
    }
    let publication = TestPublication(
      version: version, documents: documents, issued: clock.date, signers: sources[0].signers)
    genuine.withLock { $0[version] = documents.mapValues { Digest.of($0) } }
    for source in some { source.publish(publication) }
    tell("\(words): version \(version) at \(some.map(\.source).joined(separator: ", "))")
  }

  // MARK: - The device

  private func restart() async throws {
    tell("the device starts again")
    await reconciler?.store.close()
    reconciler = nil
    try await start()
  }

  private func start() async throws {
    let store: StateStore
    do {
      store = try await StateStore.open(path, maximumSize: isSmall ? 10 : nil)
    } catch let error as FileError where error.isNoSpace {
      return tell("it cannot start: no space")
    }
    var logger = Logger(label: "simulation")
    logger.logLevel = .critical
    var configuration = Reconciler.Configuration(
      policy: sources[0].policy, device: "press-42", schedule: schedule, logger: logger, clock: clock,
      now: { [clock, skew] in clock.date.addingTimeInterval(skew.withLock { $0 }) },
      random: { [loopChance] in loopChance.withLock { Double.random(in: 0...1, using: &$0) } })
    configuration.preference = preference
    if hasTrial {
      configuration.trial = .init(.zero) { [bad] applied in
        guard let version = applied.version, bad.withLock({ $0.contains(version) }) else { return }
        throw Broken(description: "version \(version) does not work")
      }
    }
    reconciler = Reconciler(sources: sources, store: store, configuration: configuration) { [weak self] update in
      guard let self else { return }
      try self.apply(update)
    }
  }

  /// An agent that believes what an update says has changed, and may break off half-way.
  private func apply(_ update: Update) throws {
    let expected = genuine.withLock { $0[update.version ?? 0] } ?? [:]
    try plant.withLock { plant in
      if plant.isApplying { plant.overlaps += 1 }
      plant.isApplying = true
      defer { plant.isApplying = false }
      if Dictionary(update.documents.map { ($0.id, $0.digest) }, uniquingKeysWith: { $1 }) != expected {
        plant.foreign.append("version \(update.version ?? 0) was handed out with other documents than were published")
      }
      if plant.fault == .throwing { throw Broken(description: "the handler cannot") }
      var changes: [(id: String, digest: Digest?)] = update.removed.map { ($0.id, nil) }
      changes += (update.added + update.modified).map { ($0.id, $0.digest) }
      if isSabotaged, let version = update.version, version > 5 { changes.removeAll { $0.digest == nil } }
      for (index, change) in changes.enumerated() {
        if plant.fault == .halfWay, index == changes.count / 2 { throw Broken(description: "the handler broke off") }
        plant.installed[change.id] = change.digest
      }
      guard plant.installed == expected else {
        let (found, wanted) = (plant.installed.keys.sorted(), expected.keys.sorted())
        plant.foreign.append("after the update to version \(update.version ?? 0) \(found) is there, and not \(wanted)")
        return
      }
      plant.applied = update.version
    }
  }

  // MARK: - What must always be so

  private func check(_ reconciler: Reconciler) async throws {
    let plant = plant.withLock { $0 }
    if let foreign = plant.foreign.first { throw Broken(description: foreign) }
    if plant.overlaps > 0 { throw Broken(description: "two applies at once") }
    let store = reconciler.store
    let newFloor = await store.floor?.version ?? 0
    guard newFloor >= floor else { throw Broken(description: "the floor went from \(floor) to \(newFloor)") }
    floor = newFloor
    if let adopted = await store.adopted?.version {
      guard genuine.withLock({ $0[adopted] }) != nil else {
        throw Broken(description: "version \(adopted) was never published")
      }
      let isBack = await store.rollback != nil
      guard isBack || adopted == floor else {
        throw Broken(description: "adopted is \(adopted), the floor \(floor), and nothing was rolled back")
      }
    }
    if let applied = await store.applied?.version, plant.applied != applied {
      // Work that was done while nothing could be written is done again, until it can be recorded.
      if isFull, plant.applied == (await store.adopted?.version) { isUnrecorded = true }
      guard isUnrecorded else {
        throw Broken(description: "the store says \(applied) is applied, the plant runs \(plant.applied ?? 0)")
      }
    } else {
      isUnrecorded = false
    }
    let waiting = try await StoreStatus.read(path).waiting
    guard waiting <= 5 else { throw Broken(description: "\(waiting) acknowledgements wait") }
  }
}
