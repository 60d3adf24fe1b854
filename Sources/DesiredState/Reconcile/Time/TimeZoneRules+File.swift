extension TimeZoneRules {
  /// Reads a TZif file (RFC 9636 section 3); nil if it is not of that form. Of version 2 and above the part in 64 bits counts, with
  /// its rule for all times after the last transition.
  init?(parsing bytes: [UInt8], description: String) {
    guard let header = Header(bytes, at: 0) else { return nil }
    guard header.version >= UInt8(ascii: "2") else {
      self.init(bytes, header, at: Header.size, timeSize: 4, description)
      return
    }
    let second = Header.size + header.dataSize(timeSize: 4)
    guard let header = Header(bytes, at: second) else { return nil }
    self.init(bytes, header, at: second + Header.size, timeSize: 8, description)
  }

  private struct Header {
    static let size = 44
    var version: UInt8
    var isUTCount: Int, isStandardCount: Int, leapCount: Int, timeCount: Int, typeCount: Int, characterCount: Int

    init?(_ bytes: [UInt8], at start: Int) {
      guard bytes.count >= start + Self.size, bytes[start..<start + 4].elementsEqual("TZif".utf8) else { return nil }
      version = bytes[start + 4]
      let counts = (0..<6).map { Int(integer(bytes, at: start + 20 + $0 * 4, size: 4)) }
      guard counts.allSatisfy({ (0...1 << 20).contains($0) }) else { return nil }
      (isUTCount, isStandardCount, leapCount) = (counts[0], counts[1], counts[2])
      (timeCount, typeCount, characterCount) = (counts[3], counts[4], counts[5])
    }

    func dataSize(timeSize: Int) -> Int {
      timeCount * (timeSize + 1) + typeCount * 6 + characterCount + leapCount * (timeSize + 4) + isStandardCount
        + isUTCount
    }
  }

  private init?(_ bytes: [UInt8], _ header: Header, at start: Int, timeSize: Int, _ description: String) {
    let end = start + header.dataSize(timeSize: timeSize)
    let types = start + header.timeCount * (timeSize + 1)
    guard header.typeCount > 0, bytes.count >= end else { return nil }
    func offset(ofType type: Int) -> Int? {
      guard type < header.typeCount else { return nil }
      return Int(integer(bytes, at: types + type * 6, size: 4))
    }
    var transitions: [Transition] = []
    for index in 0..<header.timeCount {
      let type = Int(bytes[start + header.timeCount * timeSize + index])
      guard let offset = offset(ofType: type) else { return nil }
      let time = integer(bytes, at: start + index * timeSize, size: timeSize)
      guard transitions.last.map({ $0.time < time }) ?? true else { return nil }
      transitions.append(Transition(time: time, offset: offset))
    }
    var rule: PosixTimeZone?
    if timeSize == 8, bytes.count > end, bytes[end] == UInt8(ascii: "\n") {
      let footer = bytes[(end + 1)...].prefix { $0 != UInt8(ascii: "\n") }
      rule = PosixTimeZone(String(decoding: footer, as: UTF8.self))
    }
    self.init(description: description, transitions: transitions, first: offset(ofType: 0) ?? 0, rule: rule)
  }
}

/// A signed integer in network order.
private func integer(_ bytes: [UInt8], at start: Int, size: Int) -> Int64 {
  let value = bytes[start..<start + size].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  return size == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
}
