import Crypto
import DesiredStateSupport

/// A SHA-256 digest (FIPS 180-4) in Margo's notation, `sha256:<64 hex digits>`.
///
/// Digests name everything in this package: a manifest (its digest is the ``Revision``), a document, a blob in the
/// store. Only SHA-256 exists here; a manifest that names another algorithm is refused with `unsupported-digest`.
public struct Digest: Hashable, Sendable {
  // 32 bytes held inline: a manifest may list 100,000 of them, and an array each would cost a heap block each.
  private struct Words: Hashable {
    var a: UInt64 = 0, b: UInt64 = 0, c: UInt64 = 0, d: UInt64 = 0

    /// Any part of a digest is as good as chance: one is enough to hash by.
    func hash(into hasher: inout Swift.Hasher) { hasher.combine(a) }
  }
  private let words: Words

  private init(_ digest: SHA256Digest) { words = digest.withUnsafeBytes { $0.loadUnaligned(as: Words.self) } }

  /// Parses `sha256:` followed by 64 lower-case hexadecimal digits (OCI's grammar of digests).
  ///
  /// - Throws: ``VerificationError`` with `unsupported-digest` for an algorithm this package does not know, and
  ///   `manifest-malformed` for text that is no digest.
  public init(parsing text: String) throws(VerificationError) {
    let colon = text.utf8.firstIndex(of: UInt8(ascii: ":"))
    if let algorithm = colon.map({ text[..<$0] }), algorithm != "sha256" {
      throw VerificationError(
        .unsupportedDigest, "digest algorithm '\(algorithm.prefix(32))' is not supported; use sha256")
    }
    guard let digest = colon.flatMap({ Digest(text.utf8[text.utf8.index(after: $0)...]) }) else {
      throw VerificationError(
        .manifestMalformed, "\(quoted(text)) is not a digest; expected sha256: and 64 lower-case hexadecimal digits")
    }
    self = digest
  }

  private init?(_ digits: some Collection<UInt8>) {
    guard digits.count == 64 else { return nil }
    var words = Words()
    let isWhole = withUnsafeMutableBytes(of: &words) { bytes in
      var position = 0
      for digit in digits {
        guard let nibble = Self.nibble(digit) else { return false }
        bytes[position / 2] = bytes[position / 2] << 4 | nibble
        position += 1
      }
      return true
    }
    guard isWhole else { return nil }
    self.words = words
  }

  /// The digest of bytes that are at hand in memory.
  public static func of(_ bytes: some Sequence<UInt8>) -> Digest {
    var hasher = Hasher()
    if bytes.withContiguousStorageIfAvailable({ hasher.update(UnsafeRawBufferPointer($0)) }) == nil {
      hasher.update(Array(bytes))
    }
    return hasher.finalize()
  }

  /// The 64 lower-case hexadecimal digits.
  public var hexadecimal: String {
    let digits: StaticString = "0123456789abcdef"
    return withUnsafeBytes(of: words) { bytes in
      String(unsafeUninitializedCapacity: 64) { text in
        for (index, byte) in bytes.enumerated() {
          text[2 * index] = digits.utf8Start[Int(byte >> 4)]
          text[2 * index + 1] = digits.utf8Start[Int(byte & 15)]
        }
        return 64
      }
    }
  }

  /// The name of a file that holds the digested bytes: `sha256-<hex>`, which any file system (FAT too) accepts.
  public var fileName: String { "sha256-" + hexadecimal }

  /// The digest that a file of this name should hold, or nil if the name is not of the form `sha256-<hex>`.
  public init?(fileName: some StringProtocol) {
    guard fileName.utf8.starts(with: "sha256-".utf8) else { return nil }
    self.init(fileName.utf8.dropFirst(7))
  }

  /// A number that follows from the digest, alike for few others.
  var prefix: UInt64 { words.a }

  private static func nibble(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  /// Digests bytes as they stream by, in memory that does not grow.
  public struct Hasher: Sendable {
    private var state = SHA256()

    /// A hasher that was given nothing yet.
    public init() {}

    /// Adds the bytes that come next.
    public mutating func update(_ bytes: [UInt8]) { state.update(data: bytes) }

    /// Adds the bytes that come next, from memory the caller keeps valid for the call.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bufferPointer: bytes) }

    /// The digest of everything added.
    public func finalize() -> Digest { Digest(state.finalize()) }
  }
}

extension Digest: CustomStringConvertible {
  /// `sha256:<64 hex digits>`, as a Margo manifest writes it.
  public var description: String { "sha256:" + hexadecimal }
}

extension Digest: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    do {
      self = try Digest(parsing: text)
    } catch {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.reason)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
