import DesiredState
import Foundation
import Testing

@Suite struct DocumentIDTests {
  @Test("Relative paths of ordinary names are fine", arguments: [["press.yaml", "line/belt.yaml", "größe", "日本"], []])
  func fine(ids: [String]) {
    #expect(throws: Never.self) { try DocumentID.check(ids) }
  }

  @Test(
    "What could leave the directory, or hide in it, is refused",
    arguments: [
      "", ".", "..", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a\\b", "a\u{0}b", "a\u{1b}b", "a\u{9b}b",
      "a\u{202e}b", "a\u{2028}b", "a\nb", String(repeating: "a", count: 256), String(repeating: "a/", count: 600) + "a",
    ])
  func unsafe(id: String) {
    let error = #expect(throws: VerificationError.self) { try DocumentID.check([id]) }
    #expect(error?.code == .unsafeDocumentID)
    #expect(error?.reason.unicodeScalars.contains { $0.properties.generalCategory == .control } == false)
  }

  @Test(
    "Two ids that some file system takes for one are refused",
    arguments: [["Press", "press"], ["caf\u{e9}", "cafe\u{301}"], ["a", "a/b"], ["A", "a/b"]])
  func twins(ids: [String]) {
    #expect(throws: VerificationError.self) { try DocumentID.check(ids) }
  }
}

extension DocumentIDTests {
  private func code(_ ids: [String]) -> VerificationError.Code? {
    do {
      try DocumentID.check(ids)
      return nil
    } catch {
      return error.code
    }
  }

  @Test("A document is never the directory of another, whatever stands between them in the list")
  func directories() {
    #expect(code(["a/b", "a-b", "a.b", "a b", "ab", "b/a"]) == nil)
    for ids in [
      ["a", "a/b"], ["a/b", "a"], ["a", "a-", "a.b", "a/b/c"], ["A", "a/b"], ["caf\u{e9}", "cafe\u{301}/x"],
    ] {
      #expect(code(ids) == .unsafeDocumentID, "\(ids)")
      #expect(code(ids.reversed()) == .unsafeDocumentID, "\(ids)")
    }
    // A mark that would combine with the slash.
    #expect(code(["a", "a/\u{301}b"]) == .unsafeDocumentID)
  }

  @Test("Twins are told from the same id twice") func twins() {
    #expect(code(["x", "a", "b", "a"]) == .duplicateDocument)
    #expect(code(["x", "a/B", "a/b"]) == .unsafeDocumentID)
    #expect(code(["caf\u{e9}", "cafe\u{301}"]) == .unsafeDocumentID)
  }

  // In a process of its own: the most memory that a process ever had is counted.
  @Test("Deep ids cost no more memory than their text", .timeLimit(.minutes(5))) func deep() async {
    await #expect(processExitsWith: .success) {
      func peak() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
        return Int(line.filter(\.isNumber)) ?? 0
      }
      let ids = (0..<1000).map { number in
        let head = String(number) + "/"
        return head + String(repeating: "a/", count: (1023 - head.utf8.count) / 2) + "b"
      }
      let before = peak()
      #expect(throws: Never.self) { try DocumentID.check(ids) }
      #expect(peak() - before < 16 * 1024, "\(before) and \(peak()) kB")
    }
  }
}
