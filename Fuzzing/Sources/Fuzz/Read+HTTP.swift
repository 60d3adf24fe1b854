import Foundation

@testable import HTTPMessageSignatures

extension Read {
  static func structuredFields(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    if let strict = try? StructuredFields.strict(text) {
      guard let again = try? StructuredFields.strict(strict) else { fatalError("what is written can be read") }
      check(again == strict, "what is strict stays as it is")
    }
    _ = try? StructuredFields.member("sig1", of: text)
    _ = try? StructuredFields.wrapped([text])
  }
}
