import DesiredStateTesting
import Foundation
import Testing

@Suite struct ConformanceTableTests {
  let path = NSTemporaryDirectory() + "conformance-\(UUID().uuidString).md"
  var table: ConformanceTable { ConformanceTable(path: path) }

  private func report(_ name: String, _ outcome: LawReport.Outcome) -> ConformanceReport {
    ConformanceReport(
      name: name,
      laws: Law.allCases.map { LawReport(law: $0, outcome: $0 == .limits ? outcome : .kept, duration: .zero) })
  }

  @Test func `a column that was recorded is up to date until the report changes`() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let whole = report("Whole", .kept)
    let partial = report("In, part", .keptInPart(["an endless manifest (why: not)", "another"]))
    #expect(try table.check(whole, isRecording: false)?.contains("RECORD_CONFORMANCE") == true)
    for report in [whole, partial] { #expect(try table.check(report, isRecording: true) == nil) }
    for report in [whole, partial] { #expect(try table.check(report, isRecording: false) == nil) }
    #expect(try table.check(report("Whole", .notTried("why")), isRecording: false) != nil)
    #expect(try table.check(report("In, part", .keptInPart(["another"])), isRecording: false) != nil)
    #expect(try table.check(report("New", .kept), isRecording: false) != nil)
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains("| Law | In, part | Whole |"))
    #expect(text.contains("stops at the limit. | in part | kept |"))
    #expect(text.contains("- In, part: law 10, limits: an endless manifest (why: not)"))
  }

  @Test func `the file is found from a source file of the package`() {
    #expect(ConformanceTable("Documentation/Conformance.md").path.hasSuffix("/Documentation/Conformance.md"))
    let root = ConformanceTable("Package.swift").path
    #expect(FileManager.default.fileExists(atPath: root))
  }
}
