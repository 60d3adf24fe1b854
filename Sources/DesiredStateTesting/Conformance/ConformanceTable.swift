import DesiredStateSupport
import FoundationEssentials

/// A Markdown file that lists backends against laws, written from reports and never by hand.
///
/// Each backend has a column. A run in which every law of a backend was tried is held against its column; the test fails
/// when they differ. With the variable `RECORD_CONFORMANCE` in the environment the column is written instead.
public struct ConformanceTable: Sendable {
  /// Where the file is.
  public let path: String

  /// The file at a path.
  public init(path: String) { self.path = path }

  /// The file at a path relative to the package that a source file belongs to.
  public init(_ path: String, ofPackageWith sourceFile: String = #filePath) {
    var directory = sourceFile[...]
    while let slash = directory.lastIndex(of: "/") {
      directory = directory[..<slash]
      if FileManager.default.fileExists(atPath: directory + "/Package.swift") { break }
    }
    self.path = directory + "/" + path
  }

  /// Whether this run writes the table instead of checking it.
  static var isRecording: Bool { ProcessInfo.processInfo.environment["RECORD_CONFORMANCE"] != nil }

  // Reports of several backends may be complete at the same time.
  private static let writing = LockedValue(())

  /// Holds a report against its column, or writes the column.
  ///
  /// - Parameters:
  ///   - report: the report of a run.
  ///   - isRecording: whether to write.
  /// - Returns: the difference to the column, in words; nil if there is no difference.
  /// - Throws: an error of the file system.
  public func check(_ report: ConformanceReport, isRecording: Bool) throws -> String? {
    try Self.writing.withLock { _ in
      var columns = Columns(parsing: (try? String(contentsOfFile: path, encoding: .utf8)) ?? "")
      let column = Column(report)
      if columns.byName[report.name] == column { return nil }
      guard isRecording else {
        return
          "\(path) is out of date: what it says of \(report.name) is not what this run found; run the tests again with RECORD_CONFORMANCE=1 in the environment, and commit the change"
      }
      columns.byName[report.name] = column
      try columns.text.write(toFile: path, atomically: true, encoding: .utf8)
      return nil
    }
  }

  /// What the file says of one backend.
  private struct Column: Equatable {
    var outcomes: [String]
    var gaps: [String]

    init() {
      outcomes = Law.allCases.map { _ in "" }
      gaps = []
    }

    init(_ report: ConformanceReport) {
      outcomes = Law.allCases.map { law in
        switch report[law]?.outcome {
        case .kept: "kept"
        case .keptInPart: "in part"
        case .notTried: "not tried"
        case .broken: "**broken**"
        case .undecided: "**undecided**"
        case nil: ""
        }
      }
      gaps = report.laws.flatMap { law in law.gaps.map { "\(law.law): \($0)" } }
    }
  }

  private struct Columns {
    var byName: [String: Column] = [:]

    init(parsing text: String) {
      let lines = text.split(separator: "\n")
      let rows = lines.filter { $0.hasPrefix("|") }.map { row in
        row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
          .map { $0.drop { $0 == " " } }.map { cell in String(cell.reversed().drop { $0 == " " }.reversed()) }
      }
      guard let names = rows.first?.dropFirst(), rows.count == Law.allCases.count + 2 else { return }
      for (index, name) in names.enumerated() {
        var column = Column()
        column.outcomes = rows.dropFirst(2).map { $0.count > index + 1 ? $0[index + 1] : "" }
        column.gaps = lines.filter { $0.hasPrefix("- \(name): ") }.map { String($0.dropFirst(name.count + 4)) }
        byName[name] = column
      }
    }

    var text: String {
      let names = byName.keys.sorted()
      var lines = [
        "# Backends and laws",
        "",
        "The findings of the conformance kit, law by law. Written from a run of the tests with `RECORD_CONFORMANCE=1` in the environment; the tests fail when it is out of date.",
        "",
        "| Law | \(names.joined(separator: " | ")) |",
        "| --- |\(names.map { _ in " --- |" }.joined())",
      ]
      for (index, law) in Law.allCases.enumerated() {
        let cells = names.map { byName[$0]?.outcomes[index] ?? "" }
        lines.append("| \(law.number). \(law.statement) | \(cells.joined(separator: " | ")) |")
      }
      lines += ["", "Not tried, and why:", ""]
      for name in names { lines += byName[name]?.gaps.map { "- \(name): \($0)" } ?? [] }
      return lines.joined(separator: "\n") + "\n"
    }
  }
}
