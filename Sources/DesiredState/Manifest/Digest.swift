import Crypto
import DesiredStateSupport

/// A SHA-256 digest (FIPS 180-4) in Margo's notation, `sha256:<64 hex digits>`.
///
/// Digests name everything in this package: a manifest (its digest is the ``Revision``), a document, a blob in the
/// store. Only SHA-256 exists here; a manifest that names another algorithm is refused with `unsupported-digest`.
public struct Digest: Hashable, Sendable {
  // 32 bytes held inline: a manifest may list 100,000 of them, and an array each would cost a heap block each.
  private let words: (UInt64, UInt64, UInt64, UInt64)

  private init(_ digest: SHA256Digest) {
    words = digest.withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self) }
  }

  /// Parses `sha256:` followed by 64 lower-case hexadecimal digits (OCI's grammar of digests).
  ///
  /// - Throws: ``ParseError``, which tells an algorithm this package does not know from malformed text.
  public init(parsing text: String) throws(ParseError) {
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed(text) }
    let algorithm = text.utf8[..<colon]
    guard algorithm.elementsEqual("sha256".utf8) else { throw .unsupportedAlgorithm(String(text[..<colon])) }
    guard let digest = Digest(text.utf8[text.utf8.index(after: colon)...]) else { throw .malformed(text) }
    self = digest
  }

  /// The digest whose 64 lower-case hexadecimal digits are given, or nil if they are not.
  public init?(hexadecimal: some StringProtocol) { self.init(hexadecimal.utf8) }

  private init?(_ digits: some Collection<UInt8>) {
    guard digits.count == 64 else { return nil }
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
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

  /// Why a text is not a digest.
  public enum ParseError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The text names an algorithm other than `sha256`.
    case unsupportedAlgorithm(String)
    /// The text is not `sha256:` and 64 lower-case hexadecimal digits.
    case malformed(String)

    public var description: String {
      switch self {
      case .unsupportedAlgorithm(let name): "digest algorithm '\(name.prefix(32))' is not supported; use sha256"
      case .malformed(let text):
        "\(quoted(text)) is not a digest; expected sha256: and 64 lower-case hexadecimal digits"
      }
    }
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
  var prefix: UInt64 { words.0 }

  public static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

  public func hash(into hasher: inout Swift.Hasher) { hasher.combine(words.0) }

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
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bufferPointer: bytes) }

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
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
