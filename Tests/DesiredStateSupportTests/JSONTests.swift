import DesiredStateSupport
import Testing

@Suite struct JSONTests {
  @Test("A line of JSON has no hostile character, and is read back as it was", arguments: QuotingTests.hostile)
  func safe(scalar: Unicode.Scalar) throws {
    let value = ["key": "a\(scalar)b"]
    for text in [try JSON.line(value), String(decoding: try JSON.file(value), as: UTF8.self)] {
      #expect(!text.split(separator: "\n").joined().unicodeScalars.contains { $0 == scalar && $0 != " " })
      #expect(try JSON.decode([String: String].self, from: Array(text.utf8)) == value)
    }
  }

  @Test("A key given twice is refused") func twice() {
    #expect(throws: (any Error).self) { try JSON.decode([String: Int].self, from: Array(#"{"a":1,"a":2}"#.utf8)) }
  }

  @Test(
    "A number that cannot be one is called what it is",
    arguments: [
      ("\"7\"", "without quotes"), ("null", "a number belongs here"), ("-1", "whole number from 0"),
      ("1.5", "whole number"), ("1e400", "whole number"), ("18446744073709551616", "larger than 2^64-1"),
    ])
  func numbers(text: String, reason: String) throws {
    var reader = try JSONReader(Array(text.utf8))
    let error = #expect(throws: JSONReader.Failure.self) { try reader.unsignedInteger() }
    #expect("\(error!)".contains(reason), "\(error!)")
  }
}
