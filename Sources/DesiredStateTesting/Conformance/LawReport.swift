/// What came of trying one law on one backend.
public struct LawReport: Sendable, Equatable {
  /// The law that was tried.
  public let law: Law
  /// What came of it.
  public let outcome: Outcome
  /// How long it took.
  public let duration: Duration

  /// A report of these parts.
  public init(law: Law, outcome: Outcome, duration: Duration) {
    self.law = law
    self.outcome = outcome
    self.duration = duration
  }

  /// What can come of trying a law.
  public enum Outcome: Sendable, Equatable {
    /// Everything the law asks for was tried, and found.
    case kept
    /// The tried part was kept; the list names the rest, and why it was not tried.
    case keptInPart([String])
    /// Nothing could be tried, and why.
    case notTried(String)
    /// The backend broke the law.
    case broken(expected: String, happened: String)
    /// The law could not be judged: another one that it builds upon was broken on the way, or the fixture failed.
    case undecided(String)
  }

  /// Whether a test of this law must fail. An untried law does not fail, and does not pass either.
  public var isFailure: Bool {
    switch outcome {
    case .broken, .undecided: true
    case .kept, .keptInPart, .notTried: false
    }
  }

  /// The parts that were not tried, and why.
  public var gaps: [String] {
    switch outcome {
    case .keptInPart(let gaps): gaps
    case .notTried(let reason): [reason]
    case .kept, .broken, .undecided: []
    }
  }
}

extension LawReport: CustomStringConvertible {
  /// The law and the outcome, in words for the developer of the backend.
  public var description: String {
    switch outcome {
    case .kept: "\(law): kept"
    case .keptInPart(let gaps): "\(law): kept in part; not tried: \(gaps.joined(separator: "; "))"
    case .notTried(let reason): "\(law): not tried: \(reason)"
    case .broken(let expected, let happened):
      "\(law), is broken (\(law.statement))\n  expected: \(expected)\n  happened: \(happened)"
    case .undecided(let reason): "\(law): undecided: \(reason)"
    }
  }
}

/// What came of trying every law on one backend.
public struct ConformanceReport: Sendable, Equatable {
  /// The backend's name.
  public let name: String
  /// One report for each law that was tried, in their order.
  public let laws: [LawReport]

  /// A report of a backend; its laws are put in their order.
  public init(name: String, laws: [LawReport]) {
    self.name = name
    self.laws = laws.sorted { $0.law < $1.law }
  }

  /// The laws found broken.
  public var broken: [Law] {
    laws.filter { if case .broken = $0.outcome { true } else { false } }.map(\.law)
  }

  /// Whether every law was tried in full and kept.
  public var isComplete: Bool { laws.count == Law.allCases.count && laws.allSatisfy { $0.outcome == .kept } }

  /// The report on one law.
  public subscript(law: Law) -> LawReport? { laws.first { $0.law == law } }
}

extension ConformanceReport: CustomStringConvertible {
  /// A table of the laws, and below it the gaps and the broken laws.
  public var description: String {
    var lines = ["\(name): the laws of a desired-state backend"]
    for report in laws {
      let number = String(repeating: " ", count: report.law.number < 10 ? 1 : 0) + "\(report.law.number)"
      let mark =
        switch report.outcome {
        case .kept: "kept     "
        case .keptInPart: "in part  "
        case .notTried: "not tried"
        case .broken: "BROKEN   "
        case .undecided: "undecided"
        }
      lines.append(" \(number)  \(mark)  \(report.law.statement)")
    }
    for report in laws where report.outcome != .kept { lines.append("\(report)") }
    return lines.joined(separator: "\n")
  }
}
