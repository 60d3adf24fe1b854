import Foundation
import Testing

@testable import MargoDocuments

@Suite struct JSONValueTests {
  @Test(arguments: [
    ("", #"{"a/b": 1, "m~n": 2, "": 3, "list": [{"x": 4}, 5]}"#), ("/a~1b", "1"), ("/m~0n", "2"), ("/", "3"),
    ("/list/0/x", "4"), ("/list/1", "5"),
  ])
  func `a pointer leads where RFC 6901 says`(pointer: String, value: String) throws {
    let document = try JSONDecoder().decode(
      JSONValue.self, from: Data(#"{"a/b": 1, "m~n": 2, "": 3, "list": [{"x": 4}, 5]}"#.utf8))
    let expected = try JSONDecoder().decode(JSONValue.self, from: Data(value.utf8))
    #expect(document.value(at: pointer) == expected)
    for nowhere in ["a", "/b", "/list/2", "/list/01", "/list/-", "/list/-1", "/m~2n", "/m~", "/list/0/x/y"] {
      #expect(document.value(at: nowhere) == nil, "\(nowhere)")
    }
  }

  @Test func `a number is the same however it is written`() {
    #expect(JSONValue.integer(2).isEqual(to: .number(2)) && !JSONValue.integer(2).isEqual(to: .string("2")))
    #expect(JSONValue.array([.integer(1)]).isEqual(to: .array([.number(1)])))
    #expect(!JSONValue.object(["a": .integer(1)]).isEqual(to: .object(["b": .integer(1)])))
  }
}
