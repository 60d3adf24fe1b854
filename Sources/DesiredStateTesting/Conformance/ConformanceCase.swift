import DesiredState
import DesiredStateSupport
import FoundationEssentials

/// One law being tried on one backend: the fixture, the limits, and the words the cases are written in.
struct ConformanceCase: Sendable {
  let law: Law
  let fixture: any ConformanceFixture
  /// How long anything may take that should be quick.
  let operationTimeout: Duration
  private let gapList = Gaps()

  init(law: Law, fixture: any ConformanceFixture, operationTimeout: Duration) {
    self.law = law
    self.fixture = fixture
    self.operationTimeout = operationTimeout
  }

  private final class Gaps: Sendable {
    let list = LockedValue<[String]>([])
  }

  // MARK: - Judging

  func expect(_ isTrue: Bool, _ expected: String, _ happened: @autoclosure () -> String) throws {
    guard isTrue else { throw Violation(expected: expected, happened: happened()) }
  }

  /// Tries a part of a law that the fixture may not be able to set up; if so, that is noted.
  func part(_ name: String, _ work: () async throws -> Void) async throws {
    do { try await work() } catch let gap as NotPossible { note(name, gap.description) }
  }

  func note(_ name: String, _ reason: String) { gapList.list.withLock { $0.append("\(name) (\(reason))") } }

  var gaps: [String] { gapList.list.withLock { $0 } }

  // MARK: - The fixture

  /// Has the fixture do something; if it fails, the case is inconclusive.
  func arrange<Value: Sendable>(
    _ what: String, _ work: @escaping @Sendable (any ConformanceFixture) async throws -> Value
  ) async throws -> Value {
    do {
      return try await Limited.run(operationTimeout * 2) { [fixture] in try await work(fixture) }
    } catch let error as NotPossible {
      throw error
    } catch let error as Limited.Exceeded {
      throw Inconclusive(reason: "the fixture could not \(what) within \(error.limit)")
    } catch {
      throw Inconclusive(reason: "the fixture could not \(what): \(error)")
    }
  }

  func publish(_ publication: TestPublication) async throws {
    try await arrange("publish version \(publication.version)") { try await $0.publish(publication) }
  }

  func makeBackend() async throws -> any DesiredStateBackend {
    try await arrange("make a backend") { try await $0.makeBackend() }
  }

  func traffic() async throws -> SourceTraffic { try await arrange("tell its traffic") { try await $0.traffic() } }

  // MARK: - Waiting

  /// Runs what should be quick; that it is not breaks the law in hand.
  func quickly<Value: Sendable>(
    _ what: String, within limit: Duration? = nil, _ work: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    do {
      return try await Limited.run(limit ?? operationTimeout, work)
    } catch let error as Limited.Exceeded {
      throw Violation(expected: "\(what) ends within \(error.limit)", happened: "it was still running then")
    }
  }
}
