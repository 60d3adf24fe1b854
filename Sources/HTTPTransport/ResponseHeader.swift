import Glibc

/// Collects the lines libcurl hands over, one by one, until a response's header is whole.
struct ResponseHeader {
  private var status: Int?
  private var reason: [UInt8] = []
  private var lines: [UInt8] = []
  /// Every header byte so far, those of interim responses and trailers included.
  private(set) var byteCount = 0
  /// The final response has begun its body: what still comes are trailers.
  private(set) var isComplete = false

  /// CURLOPT_HEADERFUNCTION(3): called once for each complete line, line end included; a new status
  /// line begins a new header when an interim response came before; the blank line comes too.
  ///
  /// - Returns: the header, when this line ends the final one.
  mutating func add(line: UnsafeRawBufferPointer) -> ReceivedHeader? {
    byteCount += line.count
    guard !isComplete, let first = line.first else { return nil }
    if first == UInt8(ascii: "\n") || first == UInt8(ascii: "\r") {
      guard let status, !(100..<200).contains(status) else { return nil }
      isComplete = true
      return ReceivedHeader(status: status, reason: reason, lines: lines)
    }
    guard line.count > 5, memcmp(line.baseAddress!, "HTTP/", 5) == 0 else {
      lines.append(contentsOf: line)
      return nil
    }
    let parts = line.split(maxSplits: 2) { $0 == UInt8(ascii: " ") || ReceivedHeader.isLineEnd($0) }
    status =
      parts.count > 1
      ? Int(String(decoding: parts[1], as: UTF8.self)).flatMap { (0...999).contains($0) ? $0 : nil } : nil
    reason = parts.count > 2 ? Array(parts[2].prefix { !ReceivedHeader.isLineEnd($0) }) : []
    lines.removeAll(keepingCapacity: true)
    // More than most answers need: the lines are not moved as they come.
    lines.reserveCapacity(512)
    return nil
  }
}
