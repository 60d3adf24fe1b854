import Foundation
import Testing

@Suite("The table of attacks names tests that exist")
struct AttackTableTests {
  private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The specification of The Update Framework, section 1.5.2.
  private static let attacks = [
    "Arbitrary software installation", "Endless data", "Extraneous dependencies", "Fast-forward", "Indefinite freeze",
    "Malicious mirrors", "Mix-and-match", "Rollback", "Vulnerability to key compromise", "Wrong software installation",
  ]

  @Test("Each of the ten attacks has its tests") func tests() throws {
    let article = Self.package.appendingPathComponent("Sources/DesiredState/DesiredState.docc/Attacks.md")
    let rows = try String(contentsOf: article, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("| ") }
      .dropFirst(2).map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
    #expect(rows.map { $0[0] } == Self.attacks)
    // A name is that of one file or of several, in the tests of several libraries.
    var sources: [String: [String]] = [:]
    let folder = Self.package.appendingPathComponent("Tests").path
    for case let path as String in FileManager.default.enumerator(atPath: folder) ?? .init()
    where path.hasSuffix(".swift") {
      let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
      sources[name, default: []].append(try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8))
    }
    for row in rows {
      let named = row[2].matches(of: /`(\w+)` "([^"]+)"/)
      #expect(!named.isEmpty && named.count == row[2].filter { $0 == "\"" }.count / 2, "\(row[0]): \(row[2])")
      for test in named {
        let isThere = (sources[String(test.1)] ?? []).contains {
          $0.contains("@Test(\"\(test.2)") || $0.contains("\"\(test.2)") || $0.contains("func `\(test.2)")
        }
        #expect(isThere, "\(row[0]): no test \"\(test.2)\" in \(test.1)")
      }
    }
  }
}
