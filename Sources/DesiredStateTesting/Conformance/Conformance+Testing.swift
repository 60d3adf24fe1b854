import DesiredStateSupport
public import Testing

/// The kit under Swift Testing.
extension Conformance {
  /// Tries one law, and records an issue at the caller's line if it is broken.
  ///
  /// What could not be tried is recorded as a warning; a law of which nothing could be tried cancels the test, so that it
  /// does not count as passed. When the last of the laws has been tried, the table of all is printed.
  public func check(_ law: Law, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let report = await report(on: law)
    Self.record(report, of: name, at: sourceLocation)
    if let complete = Tables.shared.add(report, of: name) { finish(complete, at: sourceLocation) }
    if case .notTried(let reason) = report.outcome {
      try Test.cancel("\(name): \(law) was not tried: \(reason)", sourceLocation: sourceLocation)
    }
  }

  /// Tries every law one after the other, records an issue at the caller's line for each that is broken, and prints the
  /// table.
  ///
  /// - Returns: the reports.
  @discardableResult
  public func check(sourceLocation: SourceLocation = #_sourceLocation) async -> ConformanceReport {
    let report = await report()
    for law in report.laws { Self.record(law, of: name, at: sourceLocation) }
    finish(report, at: sourceLocation)
    return report
  }

  private func finish(_ report: ConformanceReport, at sourceLocation: SourceLocation) {
    print(report)
    do {
      let fault = try table?.check(report, isRecording: ConformanceTable.isRecording)
      if let fault { Issue.record("\(fault)", sourceLocation: sourceLocation) }
    } catch {
      Issue.record(error, "the table of backends and laws cannot be written", sourceLocation: sourceLocation)
    }
  }

  private static func record(_ report: LawReport, of name: String, at sourceLocation: SourceLocation) {
    guard report.isFailure || !report.gaps.isEmpty else { return }
    Issue.record(
      "\(name): \(report)", severity: report.isFailure ? .error : .warning, sourceLocation: sourceLocation)
  }

  /// Collects the reports of laws that are tried by one test case each.
  private final class Tables: Sendable {
    static let shared = Tables()
    private let reports = LockedValue<[String: [Law: LawReport]]>([:])

    /// The table, once every law is in it.
    func add(_ report: LawReport, of name: String) -> ConformanceReport? {
      reports.withLock { reports in
        reports[name, default: [:]][report.law] = report
        guard let all = reports[name], all.count == Law.allCases.count else { return nil }
        reports[name] = nil
        return ConformanceReport(name: name, laws: Array(all.values))
      }
    }
  }
}
