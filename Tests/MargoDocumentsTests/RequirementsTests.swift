import Foundation
import Testing

/// `Documentation/Margo.md` is written from ``Requirement/all``, and every test that it names is there.
@Suite struct RequirementsTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Every test's source.
  private static func sources() throws -> String {
    var text = ""
    for folder in ["Tests", "Examples", "ReferenceServer/Tests"] {
      let files = FileManager.default.enumerator(
        at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
      for case let file as URL in try #require(files)
      where file.pathExtension == "swift" && file.lastPathComponent != "Requirement.swift" {
        text += try String(contentsOf: file, encoding: .utf8)
      }
    }
    return text
  }

  @Test func `every test that a requirement names is there, and each that is met names one`() throws {
    let sources = try Self.sources()
    for (section, requirements) in Requirement.all {
      for requirement in requirements {
        if case .met = requirement.verdict { #expect(!requirement.tests.isEmpty, "\(section): \(requirement.text)") }
        for test in requirement.tests {
          #expect(
            sources.contains("func `\(test)`") || sources.contains("@Test(\"\(test)\"")
              || sources.contains("\n    \"\(test)\""), "\(section): there is no test called \(test)")
        }
      }
    }
  }

  @Test func `the table of requirements is not out of date`() throws {
    let file = Self.root.appendingPathComponent("Documentation/Margo.md")
    let wanted = Self.table()
    if ProcessInfo.processInfo.environment["RECORD_CONFORMANCE"] != nil {
      try wanted.write(to: file, atomically: true, encoding: .utf8)
    }
    let found = try? String(contentsOf: file, encoding: .utf8)
    #expect(
      found == wanted, "Documentation/Margo.md is out of date; run this test with RECORD_CONFORMANCE=1 and commit it")
  }

  private static func table() -> String {
    let all = Requirement.all.flatMap(\.requirements)
    func count(_ word: String) -> Int { all.count { $0.verdict.word == word } }
    var text = """
      # Margo 1.0.0-rc.3, requirement by requirement

      What the Margo specification demands of a device, in words of our own, and how this package stands to it. Written by
      `RequirementsTests` with `RECORD_CONFORMANCE=1` in the environment; it fails when this is out of date, and when a test
      that is named here is gone.

      \(all.count) requirements: \(count("met")) met, \(count("in part")) in part, \(count("the agent's")) the agent's (the package gives the means), \(count("not met")) not met.

      """
    for (section, requirements) in Requirement.all {
      text += "\n## \(section)\n\n| | Requirement | | Tests |\n| --- | --- | --- | --- |\n"
      for requirement in requirements {
        let remark = requirement.verdict.remark.map { ": \($0)" } ?? ""
        let tests = requirement.tests.map { "*\($0)*" }.joined(separator: "; ")
        text +=
          "| \(requirement.strength.rawValue) | \(requirement.text) | \(requirement.verdict.word)\(remark) | \(tests) |\n"
      }
    }
    return text
  }
}
