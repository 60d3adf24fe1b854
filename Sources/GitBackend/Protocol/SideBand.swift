/// The channels of an answer (gitprotocol-pack(5), side-band): the first byte of each packet names the channel of the rest.
///
/// Packets without content, and what the server writes for people, are signs of life while it works for minutes.
struct SideBand {
  /// The last lines that the server wrote for people (band 2): what a hook or a forge says.
  private(set) var remarks: [String] = []
  private var unfinished: [UInt8] = []

  /// The content of a packet on the first band; nil if it has none.
  ///
  /// - Throws: ``GitProtocolError`` with `refused` for what comes on the third band.
  mutating func content(of bytes: [UInt8]) throws(GitProtocolError) -> [UInt8]? {
    switch bytes.first {
    case 1: return bytes.count > 1 ? Array(bytes.dropFirst()) : nil
    case 2:
      note(bytes.dropFirst())
      return nil
    case 3:
      throw explained(GitProtocolError(.refused, String(decoding: bytes.dropFirst(), as: UTF8.self)))
    default: throw GitProtocolError(.violation, "its answer does not come in a side band")
    }
  }

  /// The error with what the server said before it.
  func explained(_ error: GitProtocolError) -> GitProtocolError {
    var error = error
    if error.remarks.isEmpty { error.remarks = remarks }
    return error
  }

  private mutating func note(_ bytes: ArraySlice<UInt8>) {
    unfinished += bytes.prefix(4096)
    // A line of progress ends with a carriage return, and the next one is written over it.
    var lines = unfinished.split(omittingEmptySubsequences: false) { $0 == 10 || $0 == 13 }
    unfinished = Array((lines.popLast() ?? []).prefix(4096))
    for line in lines {
      let text = String(decoding: line.prefix(300), as: UTF8.self)
      guard text.contains(where: { $0.isLetter || $0.isNumber }) else { continue }
      remarks.append(text)
      if remarks.count > 5 { remarks.removeFirst() }
    }
  }
}
