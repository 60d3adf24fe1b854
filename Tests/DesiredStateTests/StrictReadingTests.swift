import DesiredState
import DesiredStateSupport
import Foundation
import Testing

@Suite("Strict reading: no text that two readers could read in two ways")
struct StrictReadingTests {
  private let hex = String(repeating: "ab", count: 32)

  private func refusal(_ bytes: [UInt8]) -> VerificationError? {
    do {
      _ = try StateManifest(parsing: bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test(
    "What is not plain RFC 8259 is malformed",
    arguments: [
      "{\"manifestVersion\":1,\"manifestVersion\":1,\"deployments\":[]}",
      "{\"manifestVersion\":1,\"deployments\":[],\"deployments\":[]}",
      "{\"manifestVersion\":1,\"deployments\":[],\"deploy\\u006dents\":[]}",
      "{\"manifestVersion\":1,\"deployments\":[],\"later\":{\"a\":1,\"a\":1}}",
      "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"a\",\"deploymentId\":\"b\",\"digest\":\"HEX\"}]}",
      "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"a\",\"digest\":\"HEX\"},]}",
      "{\"manifestVersion\":1,\"deployments\":[],}", "{\"manifestVersion\":1,\"deployments\":[,]}",
      "{\"manifestVersion\":7.0,\"deployments\":[]}", "{\"manifestVersion\":7e0,\"deployments\":[]}",
      "{\"manifestVersion\":-7,\"deployments\":[]}", "{\"manifestVersion\":07,\"deployments\":[]}",
      "{\"manifestVersion\":+7,\"deployments\":[]}", "{\"manifestVersion\":\"7\",\"deployments\":[]}",
      "{\"manifestVersion\":18446744073709551616,\"deployments\":[]}",
      "{\"manifestVersion\":1,\"deployments\":[] /* why */}", "{\"manifestVersion\":1 \"deployments\":[]}",
      "{'manifestVersion':1,'deployments':[]}", "{\"manifestVersion\":1,\"deployments\":[],\"x\":NaN}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":01}", "{\"manifestVersion\":1,\"deployments\":[],\"x\":1.}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":.5}", "{\"manifestVersion\":1,\"deployments\":[],\"x\":1e}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"\\x\"}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"\\u12\"}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"\\ud800\"}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"\\udc00\\ud800\"}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"a\nb\"}", "{\"manifestVersion\":1,\"deployments\":[]}{}",
      "{\"manifestVersion\":1,\"deployments\":[]", "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"", "{\"",
      "{\"manifestVersion\":1,\"deployments\":[],\"x\":tru}", "{\"manifestVersion\":1,\"deployments\":[],\"x\":\"\\",
      "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"a\",\"digest\":\"HEX\",\"sizeBytes\":\"1\"}]}",
    ])
  func malformed(_ text: String) {
    let refusal = refusal(Array(text.replacing("HEX", with: "sha256:\(hex)").utf8))
    #expect(refusal?.code == .manifestMalformed, "\(text)")
  }

  @Test("Other encodings than plain UTF-8 are malformed, and the message names the remedy") func encodings() throws {
    let text = "{\"manifestVersion\":1,\"deployments\":[]}"
    #expect(refusal(Array(text.utf8)) == nil)
    let encodings: [String.Encoding] = [
      .utf16, .utf16LittleEndian, .utf16BigEndian, .utf32, .utf32LittleEndian, .utf32BigEndian,
    ]
    for encoding in encodings {
      let bytes = Array(try #require(text.data(using: encoding)))
      #expect(refusal(bytes)?.code == .manifestMalformed, "\(encoding)")
    }
    let marked = try #require(refusal([0xef, 0xbb, 0xbf] + Array(text.utf8)))
    #expect(marked.reason.contains("byte-order mark"))
    #expect(
      refusal(Array(text.utf8).dropLast() + Array(",\"x\":\"".utf8) + [0xff, 0x22, 0x7d])?.code == .manifestMalformed)
    // Overlong forms and surrogates in UTF-8 are not UTF-8.
    for bad in [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]] as [[UInt8]] {
      let bytes = Array(text.utf8).dropLast() + Array(",\"x\":\"".utf8) + bad + [0x22, 0x7d]
      #expect(refusal(Array(bytes))?.code == .manifestMalformed)
    }
  }

  @Test("Escapes are read as what they stand for") func escapes() throws {
    let text =
      "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"\\u0061\\ud83d\\ude00\\/\\\"\\\\\\t\",\"digest\":\"sha256:\(hex)\"}]}"
    #expect(try StateManifest(parsing: Array(text.utf8)).documents[0].id == "a\u{1F600}/\"\\\t")
  }

  @Test(
    "Times that no calendar has, or with more behind them, are malformed",
    arguments: [
      "2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
      "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
      "2026-01-01T00:00:61Z", "2026-01-01T00:00:00Z and more", "2026-01-01T00:00:00ZZ", "2026-01-01",
      "2026-01-01T00:00Z",
      "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0100",
      "2026-01-01T00:00:00.Z", " 2026-01-01T00:00:00Z", "+2026-01-01T00:00:00Z", "20260101T000000Z",
      "2026-01-01T00:00:00+01", "1900-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "",
    ])
  func badTimes(_ time: String) {
    let text =
      "{\"manifestVersion\":1,\"deployments\":[],\"x-desired-state-extensions\":{\"expires\":\"\(time)\"}}"
    #expect(refusal(Array(text.utf8))?.code == .manifestMalformed)
  }

  @Test(
    "Times are read as RFC 3339 has them",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2026-11-22T10:00:00Z", 1_795_341_600), ("2000-02-29t23:59:59z", 951_868_799),
      ("2026-11-22T12:30:00+02:30", 1_795_341_600), ("2026-11-21T22:00:00-12:00", 1_795_341_600),
      ("1969-12-31T23:59:59Z", -1), ("2026-11-22T10:00:00.5Z", 1_795_341_600.5),
      ("2016-12-31T23:59:60Z", 1_483_228_800), ("9999-12-31T23:59:59Z", 253_402_300_799),
      ("0001-01-01T00:00:00Z", -62_135_596_800),
    ])
  func goodTimes(_ text: String, _ seconds: Double) {
    #expect(Timestamp.parse(text)?.timeIntervalSince1970 == seconds)
  }

  @Test("Times are read as Foundation writes them, over centuries") func manyTimes() {
    // From 1621 on: Foundation writes dates before 1582 in the Julian calendar, which RFC 3339 does not know.
    for step in 0..<2000 {
      let date = Date(timeIntervalSince1970: Double(step) * 86_400 * 36.531 - 11_000_000_000 + Double(step * 7919))
      let whole = Date(timeIntervalSince1970: date.timeIntervalSince1970.rounded())
      #expect(Timestamp.parse(Timestamp.text(whole)) == whole)
    }
  }

  @Test("Nesting, keys and documents have bounds") func bounds() {
    func manifest(_ extra: String) -> [UInt8] {
      Array("{\"manifestVersion\":1,\"deployments\":[],\"x\":\(extra)}".utf8)
    }
    #expect(refusal(manifest(String(repeating: "[", count: 60) + String(repeating: "]", count: 60))) == nil)
    #expect(refusal(manifest(String(repeating: "[", count: 70) + String(repeating: "]", count: 70))) != nil)
    let keys = (0..<5000).map { "\"k\($0)\":0" }.joined(separator: ",")
    #expect(refusal(manifest("{\(keys)}"))?.code == .manifestMalformed)
    let documents = (0..<20).map { "{\"deploymentId\":\"\($0)\",\"digest\":\"sha256:\(hex)\"}" }
    let many = "{\"manifestVersion\":1,\"deployments\":[\(documents.joined(separator: ","))]}"
    #expect(throws: VerificationError.self) { try StateManifest(parsing: Array(many.utf8), maximumDocumentCount: 19) }
    #expect(throws: Never.self) { try StateManifest(parsing: Array(many.utf8), maximumDocumentCount: 20) }
  }
}
