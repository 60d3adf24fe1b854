import CZlib

/// Decodes a body that came in the coding `gzip` (RFC 9110 section 8.4.1.3), in pieces of bounded size: what a small
/// piece expands to is never in memory as a whole.
///
/// Used by the one reader of a body, under a lock.
final class ContentDecoder: @unchecked Sendable {
  static let longestPiece = 256 << 10

  private var stream = z_stream()
  private var input: [UInt8] = []
  private var offset = 0
  private var hasBegun = false
  /// Bytes on the wire for the content so far.
  private(set) var consumed: Int64 = 0
  private var isAtEnd = false

  /// - Returns: nil if zlib is out of memory.
  init?() { guard czlib_gzip_init(&stream) == Z_OK else { return nil } }

  // Sound: the stream never moves, because the object does not.
  deinit { inflateEnd(&stream) }

  /// Hands in what came. All that was handed in before has to be decoded.
  func feed(_ bytes: [UInt8]) {
    input = bytes
    offset = 0
    if !bytes.isEmpty { hasBegun = true }
  }

  enum Failure: Error { case broken, truncated }

  /// The next piece; nil when more input is needed.
  func next() throws(Failure) -> [UInt8]? {
    while offset < input.count {
      if isAtEnd {
        // RFC 1952 section 2.2: members may follow each other.
        guard inflateReset(&stream) == Z_OK else { throw .broken }
        isAtEnd = false
      }
      var code = Z_OK
      let piece = [UInt8](unsafeUninitializedCapacity: Self.longestPiece) { output, count in
        input.withUnsafeMutableBufferPointer { input in
          stream.next_in = input.baseAddress! + offset
          stream.avail_in = UInt32(input.count - offset)
          stream.next_out = output.baseAddress
          stream.avail_out = UInt32(Self.longestPiece)
          code = inflate(&stream, Z_NO_FLUSH)
          consumed += Int64(input.count - Int(stream.avail_in) - offset)
          offset = input.count - Int(stream.avail_in)
          count = Self.longestPiece - Int(stream.avail_out)
        }
      }
      switch code {
      case Z_STREAM_END: isAtEnd = true
      case Z_OK, Z_BUF_ERROR: break
      default: throw .broken
      }
      if !piece.isEmpty { return piece }
      if code == Z_BUF_ERROR { break }
    }
    // A full piece may have left more within zlib: it is asked for with the next input, or at the end.
    return nil
  }

  /// What zlib still holds, at the end of the input; nil when that is all.
  ///
  /// - Throws: `truncated` if the coding was not over.
  func rest() throws(Failure) -> [UInt8]? {
    guard hasBegun, !isAtEnd else { return nil }
    var code = Z_OK
    let piece = [UInt8](unsafeUninitializedCapacity: Self.longestPiece) { output, count in
      stream.next_in = nil
      stream.avail_in = 0
      stream.next_out = output.baseAddress
      stream.avail_out = UInt32(Self.longestPiece)
      code = inflate(&stream, Z_NO_FLUSH)
      count = Self.longestPiece - Int(stream.avail_out)
    }
    if code == Z_STREAM_END { isAtEnd = true }
    if !piece.isEmpty { return piece }
    guard isAtEnd else { throw .truncated }
    return nil
  }
}
