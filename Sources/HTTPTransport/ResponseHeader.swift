import HTTPTypes

/// Collects the lines libcurl hands over, one by one, into a response.
struct ResponseHeader {
  private(set) var status: Int?
  private var reason: [UInt8] = []
  private var fields = HTTPFields()
  /// Every header byte so far, those of interim responses and trailers included.
  private(set) var byteCount = 0
  /// The final response has begun its body: what still comes are trailers.
  private(set) var isComplete = false

  enum Step {
    case more
    case response(HTTPResponse)
  }

  /// CURLOPT_HEADERFUNCTION(3): called once for each complete line, line end included; a new status
  /// line begins a new header when an interim response came before; the blank line comes too.
  mutating func add(line whole: UnsafeRawBufferPointer) -> Step {
    byteCount += whole.count
    guard !isComplete else { return .more }
    let isLineEnd = { (byte: UInt8) in byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") }
    let line = UnsafeRawBufferPointer(rebasing: whole[..<((whole.lastIndex { !isLineEnd($0) } ?? -1) + 1)])
    if line.isEmpty {
      guard let status, !(100..<200).contains(status) else { return .more }
      isComplete = true
      return .response(
        HTTPResponse(
          status: .init(code: status, reasonPhrase: String(decoding: reason, as: UTF8.self)), headerFields: fields))
    }
    if line.starts(with: "HTTP/".utf8) {
      let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: true)
      status =
        parts.count > 1
        ? Int(String(decoding: parts[1], as: UTF8.self)).flatMap { (0...999).contains($0) ? $0 : nil } : nil
      reason = parts.count > 2 ? Array(parts[2]) : []
      fields = HTTPFields()
      return .more
    }
    if line.first == UInt8(ascii: " ") || line.first == UInt8(ascii: "\t") {
      // RFC 9112 section 5.2: an obsolete line folding is one space.
      if let last = fields.last {
        fields[fields.endIndex - 1] = HTTPField(
          name: last.name, lenientValue: Array((last.value + " ").utf8) + Self.trim(line[...]))
      }
      return .more
    }
    // A name that is no token cannot be asked for either; servers do send such fields, and they are passed over.
    if let colon = line.firstIndex(of: UInt8(ascii: ":")),
      let name = HTTPField.Name(String(decoding: line[..<colon], as: UTF8.self))
    {
      fields.append(HTTPField(name: name, lenientValue: Self.trim(line[(colon + 1)...])))
    }
    return .more
  }

  private static func trim(_ bytes: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
    let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    let rest = UnsafeRawBufferPointer(rebasing: bytes.drop(while: isSpace))
    return Array(rest[..<((rest.lastIndex { !isSpace($0) } ?? -1) + 1)])
  }
}
