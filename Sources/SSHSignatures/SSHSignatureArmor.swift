import FoundationEssentials

extension SSHSignature {
  /// The most signatures that one file may hold. More are refused, unread.
  public static let maximumBlockCount = 64

  /// The longest armored signature that is looked at, in bytes from its first line's end to its last line. One with an
  /// RSA key of 8192 bits has about 3,000.
  public static let maximumBlockSize = 64 * 1024

  /// The longest file that is looked at, in bytes.
  public static let maximumFileSize = maximumBlockCount * maximumBlockSize

  /// Reads the signatures in a file: one armored block (PROTOCOL.sshsig section 1) or several, one after the other.
  ///
  /// A file begins with a block. Lines may end in CR LF, the last one need not end, and what stands between blocks and
  /// behind the last one is skipped. Everything else is as strict as the format allows.
  ///
  /// Throws `SSHSignatureError` when there is no block, when one of them is not a supported signature, or when there is
  /// more than the limits allow. `parseEach(armored:)` lets a file hold signatures that are of no use here.
  public static func parse(armored: some Collection<UInt8>) throws(SSHSignatureError) -> [SSHSignature] {
    var signatures: [SSHSignature] = []
    for result in try parseEach(armored: armored) {
      signatures.append(try result.get())
    }
    return signatures
  }

  /// Reads the signatures in a file like `parse(armored:)`, with a result for each block.
  ///
  /// A signer may add a signature by a newer type of key for newer readers; this lets an older reader go on with the
  /// others. Throws `SSHSignatureError` only when there is no block, when the last one has no end, or when there is
  /// more than the limits allow.
  public static func parseEach(
    armored: some Collection<UInt8>
  ) throws(SSHSignatureError) -> [Result<SSHSignature, SSHSignatureError>] {
    guard armored.count <= maximumFileSize else {
      throw SSHSignatureError(.limitExceeded, "the signature file is longer than \(maximumFileSize) bytes")
    }
    let blocks = try armoredBlocks(in: Array(armored))
    return blocks.enumerated().map { index, block in
      do throws(SSHSignatureError) {
        guard let blob = decodeCanonicalBase64(block) else {
          throw .malformed("is not in base64; copy the file again, byte for byte")
        }
        return .success(try SSHSignature(blob: blob))
      } catch {
        guard blocks.count > 1 else { return .failure(error) }
        return .failure(
          SSHSignatureError(
            error.code, "block \(index + 1) of \(blocks.count): \(error.message)",
            underlyingError: error.underlyingError))
      }
    }
  }

  /// The base64 between each pair of header and footer, without its line breaks.
  private static func armoredBlocks(in file: [UInt8]) throws(SSHSignatureError) -> [[UInt8]] {
    var blocks: [[UInt8]] = []
    var block: [UInt8]?
    for line in file.split(separator: 0x0a, omittingEmptySubsequences: false) {
      let line = line.last == 0x0d ? line.dropLast() : line
      if var base64 = block {
        block = nil
        if line.elementsEqual(footer) {
          blocks.append(base64)
          continue
        }
        guard !line.starts(with: footer) else {
          throw .malformed("has more on its last line; keep a line break between signatures when joining them")
        }
        base64.append(contentsOf: line)
        guard base64.count <= maximumBlockSize else {
          throw SSHSignatureError(.limitExceeded, "a signature is longer than \(maximumBlockSize) bytes")
        }
        block = base64
      } else if line.elementsEqual(header) {
        guard blocks.count < maximumBlockCount else {
          throw SSHSignatureError(.limitExceeded, "the signature file holds more than \(maximumBlockCount) signatures")
        }
        block = []
      } else if blocks.isEmpty {
        break
      }
    }
    guard block == nil else {
      throw .malformed("has no last line (-----END SSH SIGNATURE-----); it was cut short")
    }
    guard !blocks.isEmpty else {
      throw SSHSignatureError(
        .missing,
        "the signature file does not begin with -----BEGIN SSH SIGNATURE-----; make it with ssh-keygen -Y sign")
    }
    return blocks
  }

  private static let header = Array("-----BEGIN SSH SIGNATURE-----".utf8)
  private static let footer = Array("-----END SSH SIGNATURE-----".utf8)
}
