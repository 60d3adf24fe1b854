/// The name of an object: a SHA-1 of its content, as 40 hexadecimal digits.
struct ObjectID: Hashable, Sendable, CustomStringConvertible {
  let hexadecimal: String

  /// Nil unless the text is 40 lower-case hexadecimal digits.
  init?(_ text: some StringProtocol) {
    guard text.utf8.count == 40,
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { return nil }
    hexadecimal = String(text)
  }

  /// From its 20 bytes, as packs and trees have them.
  init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 20 else { return nil }
    let digits = Array("0123456789abcdef".utf8)
    hexadecimal = String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// What a protocol message says where there is no object.
  static let none = String(repeating: "0", count: 40)
  var description: String { hexadecimal }
}
