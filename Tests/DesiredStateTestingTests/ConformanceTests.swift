import DesiredState
import DesiredStateTesting
import Glibc
import Synchronization
import Testing

/// How the kit speaks of what it found.
@Suite struct ConformanceTests {
  @Test func `a failure names the law, what was expected, what happened, and the vendor's line`() async throws {
    // Issues are Swift Testing's; what the kit recorded is read from the known issue.
    let recorded = Mutex<[String]>([])
    try await withKnownIssue {
      try await Conformance("Wrong") { MutantFixture(.emptyForAbsent) }.check(.absent)
    } matching: { issue in
      recorded.withLock {
        $0.append("\(issue.sourceLocation?.fileID ?? "") \(issue.sourceLocation?.line ?? 0) \(issue.comments)")
      }
      return true
    }
    let issue = try #require(recorded.withLock { $0.first })
    #expect(issue.contains("DesiredStateTestingTests/ConformanceTests.swift 13 "))
    #expect(issue.contains("Wrong: law 4, absent, is broken (Reachable but nothing published: absent."))
    #expect(issue.contains("expected: before anything is published, fetch answers absent"))
    #expect(issue.contains("happened: it answered changed, with version none and 0 documents"))
  }

  @Test(.timeLimit(.minutes(5))) func `a backend that blocks its thread for ever fails, and hangs nobody`() async {
    for law in [Law.firstFetch, .cancellation, .leaks] {
      let report = await Conformance("Blocking", operationTimeout: .milliseconds(300)) {
        Fixture(backend: Blocking())
      }.report(on: law)
      #expect(report.isFailure, "\(report)")
      #expect(report.duration < .seconds(20))
    }
  }

  @Test func `a fixture that fails is not taken for a broken backend`() async {
    struct Trouble: Error {}
    let made = await Conformance("Fixture") { throw Trouble() }.report(on: .absent)
    #expect(made.outcome == .undecided("the fixture could not be made: Trouble()"))
    let published = await Conformance("Fixture") { Fixture(backend: Blocking(), publishing: Trouble()) }
      .report(on: .unchanged)
    #expect(published.outcome == .undecided("the fixture could not publish version 1: Trouble()"))
    #expect(made.isFailure && published.isFailure)
  }

  @Test func `a law that builds on a broken one is undecided, and names it`() async throws {
    let report = await Conformance("Blocking", operationTimeout: .milliseconds(300)) { Fixture(backend: Blocking()) }
      .report(on: .unchanged)
    guard case .undecided(let reason) = report.outcome else {
      Issue.record("\(report)")
      return
    }
    #expect(reason.hasPrefix("law 1, first fetch was broken on the way"))
  }

  @Test func `what a fixture cannot do is said, and does not count as kept`() async throws {
    let report = await Conformance("Modest") { Modest() }.report()
    #expect(report.broken == [])
    #expect(!report.isComplete)
    #expect(report[.emptyState]?.outcome == .notTried("the source has no word for empty"))
    #expect(report[.acknowledgement]?.outcome == .kept)
    #expect(
      report[.limits]?.gaps == [
        "an endless manifest (the fixture cannot make the manifest endless)",
        "an endless document (the fixture cannot make document 'long' endless)",
      ])
    #expect(report[.tornPublication]?.gaps.count == 1)
    let table = "\(report)"
    #expect(table.contains("  5  not tried  An explicitly empty state"))
    #expect(table.contains(" 10  in part    Limits hold while reading"))
    #expect(table.contains("law 5, empty state: not tried: the source has no word for empty"))
  }

  @Test func `laws that run at the same time for one fixture type do not disturb each other`() async {
    await withTaskGroup(of: LawReport.self) { group in
      for law in Law.allCases {
        group.addTask { await Conformance("MockBackend") { MockFixture() }.report(on: law) }
      }
      for await report in group { #expect(report.outcome == .kept, "\(report)") }
    }
  }

  // MARK: - Backends and fixtures

  /// Takes the thread it is called on, and ignores its cancellation.
  private struct Blocking: DesiredStateBackend {
    let source = "blocking"
    func fetch(_ request: FetchRequest) async throws -> FetchResult {
      while true { sleep(1000) }
    }
  }

  private struct Fixture: ConformanceFixture {
    var backend: any DesiredStateBackend
    var publishing: (any Error)?
    var secrets: [String] { [] }
    func makeBackend() async throws -> any DesiredStateBackend { backend }
    func publish(_ publication: TestPublication) async throws { if let publishing { throw publishing } }
    func publishNothing() async throws {}
    func makeUnreachable() async throws {}
    func makeReachable() async throws {}
    func corrupt(_ part: TestPublication.Part) async throws {}
  }

  /// Does only what it must, for a source that cannot say "empty" and takes no acknowledgements.
  private struct Modest: ConformanceFixture {
    let mock = MockBackend(capabilities: [], signers: [Conformance.signer])
    var secrets: [String] { [] }
    func makeBackend() async throws -> any DesiredStateBackend { MockBackend(restarting: mock) }
    func publish(_ publication: TestPublication) async throws {
      if publication.documents.isEmpty { throw NotPossible("the source has no word for empty") }
      mock.publish(publication)
    }
    func publishNothing() async throws { mock.publishNothing() }
    func makeUnreachable() async throws { mock.becomeUnreachable() }
    func makeReachable() async throws { mock.recover() }
    func corrupt(_ part: TestPublication.Part) async throws { mock.corrupt(part) }
  }
}
