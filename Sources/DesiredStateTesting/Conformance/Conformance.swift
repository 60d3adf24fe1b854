/// The conformance kit: tries the laws of the contract on a backend, one case for each.
///
///     @Test(arguments: Law.allCases) func `the backend keeps`(law: Law) async throws {
///       try await Conformance("MyBackend") { try await MyFixture() }.check(law)
///     }
///
/// A case never hangs, whatever the backend does, and never sleeps longer than the backend makes it.
public struct Conformance: Sendable {
  /// Who signs every publication of the kit.
  public static let signer = TestSigner("conformance@desired-state.example")

  /// The backend's name in reports.
  public let name: String
  /// How long a single operation may take that nothing holds up.
  public let operationTimeout: Duration
  /// The file in which the backend's column is checked when every law was tried, if any.
  public let table: ConformanceTable?
  private let makeFixture: @Sendable () async throws -> any ConformanceFixture

  /// - Parameters:
  ///   - name: the backend's name in reports.
  ///   - operationTimeout: how long a single operation may take that nothing holds up; a backend that takes longer hangs.
  ///   - table: the file in which the backend's column is checked when every law was tried under Swift Testing.
  ///   - fixture: makes a fixture, anew for each law.
  public init(
    _ name: String, operationTimeout: Duration = .seconds(5), table: ConformanceTable? = nil,
    fixture: @escaping @Sendable () async throws -> any ConformanceFixture
  ) {
    self.name = name
    self.operationTimeout = operationTimeout
    self.table = table
    makeFixture = fixture
  }

  /// Tries one law.
  public func report(on law: Law) async -> LawReport {
    await CaseGate.shared.run(exclusive: law == .leaks) {
      let clock = ContinuousClock()
      let start = clock.now
      let outcome = await outcome(of: law)
      return LawReport(law: law, outcome: outcome, duration: clock.now - start)
    }
  }

  /// Tries every law, one after the other.
  public func report() async -> ConformanceReport {
    var reports: [LawReport] = []
    for law in Law.allCases { reports.append(await report(on: law)) }
    return ConformanceReport(name: name, laws: reports)
  }

  private func outcome(of law: Law) async -> LawReport.Outcome {
    let fixture: any ConformanceFixture
    do {
      fixture = try await Limited.run(operationTimeout * 6) { [makeFixture] in try await makeFixture() }
    } catch {
      return .undecided("the fixture could not be made: \(Self.words(for: error))")
    }
    let conformanceCase = ConformanceCase(law: law, fixture: fixture, operationTimeout: operationTimeout)
    let outcome = await outcome(of: conformanceCase)
    _ = try? await Limited.run(operationTimeout * 2) { await fixture.tearDown() }
    return outcome
  }

  private func outcome(of conformanceCase: ConformanceCase) async -> LawReport.Outcome {
    do {
      // Every step has its own, shorter limit; this one is for the rest.
      try await Limited.run(operationTimeout * 12) { try await conformanceCase.run() }
      return conformanceCase.gaps.isEmpty ? .kept : .keptInPart(conformanceCase.gaps)
    } catch let broken as ConformanceCase.Violation {
      return .broken(expected: broken.expected, happened: broken.happened)
    } catch let undecided as ConformanceCase.Inconclusive {
      return .undecided(undecided.reason)
    } catch let gap as NotPossible {
      return .notTried(gap.description)
    } catch let error as Limited.Exceeded {
      return .broken(expected: "the case ends within \(error.limit)", happened: "it was still running then")
    } catch {
      return .broken(expected: "every operation of the case to work", happened: "one threw: \(Self.words(for: error))")
    }
  }

  private static func words(for error: any Error) -> String {
    if let exceeded = error as? Limited.Exceeded { return "it took longer than \(exceeded.limit)" }
    return "\(error)"
  }
}

extension ConformanceCase {
  /// Tries the law.
  func run() async throws {
    switch law {
    case .firstFetch: try await tryFirstFetch()
    case .unchanged: try await tryUnchanged()
    case .newPublication: try await tryNewPublication()
    case .absent: try await tryAbsent()
    case .emptyState: try await tryEmptyState()
    case .unreachable: try await tryUnreachable()
    case .documentBytes: try await tryDocumentBytes()
    case .tornPublication: try await tryTornPublication()
    case .cancellation: try await tryCancellation()
    case .limits: try await tryLimits()
    case .tampering: try await tryTampering()
    case .acknowledgement: try await tryAcknowledgement()
    case .concurrency: try await tryConcurrency()
    case .restart: try await tryRestart()
    case .errors: try await tryErrors()
    case .leaks: try await tryLeaks()
    case .decoration: try await tryDecoration()
    case .repair: try await tryRepair()
    case .resuming: try await tryResuming()
    case .trustUpdates: try await tryTrustUpdates()
    }
  }
}
