/// Reads an OpenSSH key revocation list (PROTOCOL.krl).
struct KeyRevocationListReader {
  /// The first eight bytes: "SSHKRL", a line feed, NUL.
  static let magic = Array("SSHKRL\n\0".utf8)

  /// The most certificates that bitmaps may name between them; ranges say the same in less.
  private static let maximumSerialCount = 1_000_000

  /// The longest bitmap, in bytes; OpenSSH reads no longer numbers.
  private static let maximumBitmapSize = 2048

  private var reader: SSHWireReader
  private var serialCount = 0

  init(_ bytes: [UInt8]) {
    reader = SSHWireReader(bytes)
  }

  private enum Section: UInt8 {
    case certificates = 1
    case explicitKey = 2
    case fingerprintSHA1 = 3
    case fingerprintSHA256 = 5
  }

  private enum CertificateSection: UInt8 {
    case serialList = 0x20
    case serialRange = 0x21
    case serialBitmap = 0x22
    case keyID = 0x23
  }

  mutating func read(into revoked: inout RevokedKeys) throws(RevokedKeysError) {
    guard reader.readBytes(Self.magic.count) != nil, let version = reader.readUInt32() else { throw cutShort }
    guard version == 1 else {
      throw RevokedKeysError(.unsupportedSection, "the list has version \(version) of the format; only 1 is supported")
    }
    // The list's number, when it was made, flags, a reserved field, a comment.
    guard reader.readUInt64() != nil, reader.readUInt64() != nil, reader.readUInt64() != nil,
      reader.readString() != nil, reader.readString() != nil
    else { throw cutShort }
    while !reader.isAtEnd {
      guard let type = reader.readByte(), let body = reader.readString() else { throw cutShort }
      guard let section = Section(rawValue: type) else {
        throw RevokedKeysError(
          .unsupportedSection,
          "the list has a section of type \(type), which is not known here; make it with ssh-keygen -k")
      }
      var content = SSHWireReader(body)
      switch section {
      case .certificates: try readCertificates(from: &content, into: &revoked)
      case .explicitKey: revoked.keys.formUnion(try strings(in: &content))
      case .fingerprintSHA1: revoked.keySHA1s.formUnion(try strings(in: &content, size: 20))
      case .fingerprintSHA256: revoked.keySHA256s.formUnion(try strings(in: &content, size: 32))
      }
    }
  }

  private func strings(in reader: inout SSHWireReader, size: Int? = nil) throws(RevokedKeysError) -> [[UInt8]] {
    var strings: [[UInt8]] = []
    while !reader.isAtEnd {
      guard let string = reader.readString() else { throw cutShort }
      guard size == nil || string.count == size else {
        throw RevokedKeysError(.malformed, "the list has a fingerprint of \(string.count) bytes")
      }
      strings.append(Array(string))
    }
    return strings
  }

  private mutating func readCertificates(
    from reader: inout SSHWireReader, into revoked: inout RevokedKeys
  ) throws(RevokedKeysError) {
    guard let authority = reader.readString(), reader.readString() != nil else { throw cutShort }
    var list = RevokedKeys.CertificateList()
    while !reader.isAtEnd {
      guard let type = reader.readByte(), let body = reader.readString() else { throw cutShort }
      guard let section = CertificateSection(rawValue: type) else {
        throw RevokedKeysError(
          .unsupportedSection,
          "the list has a section of type \(type) about certificates, which is not known here; "
            + "make it with ssh-keygen -k")
      }
      try readCertificateSection(section, SSHWireReader(body), into: &list)
    }
    if authority.isEmpty {
      revoked.certificatesByAny.add(list)
    } else if try isUsable(authority) {
      revoked.certificates[Array(authority), default: .init()].add(list)
    }
  }

  /// Whether certificates by this authority could count here at all.
  private func isUsable(_ authority: ArraySlice<UInt8>) throws(RevokedKeysError) -> Bool {
    do {
      _ = try SSHPublicKey(blob: authority)
      return true
    } catch {
      // What ssh-keygen knows as a key and is too weak here. Anything else may be a list that was changed.
      var reader = SSHWireReader(authority)
      guard error.code == .unsupportedSize || error.code == .certificate || reader.readText() == "ssh-dss" else {
        throw RevokedKeysError(.malformed, "of an authority in the list, \(error.message)")
      }
      return false
    }
  }

  private mutating func readCertificateSection(
    _ section: CertificateSection, _ body: SSHWireReader, into list: inout RevokedKeys.CertificateList
  ) throws(RevokedKeysError) {
    var body = body
    switch section {
    case .serialList:
      while !body.isAtEnd {
        guard let serial = body.readUInt64() else { throw cutShort }
        try list.add(serial, serial)
      }
    case .serialRange:
      guard let first = body.readUInt64(), let last = body.readUInt64(), body.isAtEnd else { throw cutShort }
      try list.add(first, last)
    case .serialBitmap:
      guard let offset = body.readUInt64(), let bitmap = body.readString(), body.isAtEnd else { throw cutShort }
      try readBitmap(bitmap, offset: offset, into: &list)
    case .keyID:
      while !body.isAtEnd {
        guard let keyID = body.readString(), !keyID.contains(0) else { throw cutShort }
        list.keyIDs.insert(Array(keyID))
      }
    }
  }

  /// Bit n of a big-endian number stands for the serial number offset + n.
  private mutating func readBitmap(
    _ bitmap: ArraySlice<UInt8>, offset: UInt64, into list: inout RevokedKeys.CertificateList
  ) throws(RevokedKeysError) {
    guard bitmap.first.map({ $0 < 0x80 }) ?? true else {
      throw RevokedKeysError(.malformed, "the list has a negative bitmap")
    }
    guard bitmap.count <= Self.maximumBitmapSize else {
      throw RevokedKeysError(.limitExceeded, "the list has a bitmap of more than \(Self.maximumBitmapSize) bytes")
    }
    for (byteIndex, byte) in bitmap.reversed().enumerated() where byte != 0 {
      for bit in 0..<8 where byte & 1 << bit != 0 {
        let (serial, overflow) = offset.addingReportingOverflow(UInt64(8 * byteIndex + bit))
        guard !overflow else {
          throw RevokedKeysError(.malformed, "the list has a bitmap beyond the last serial number")
        }
        serialCount += 1
        guard serialCount <= Self.maximumSerialCount else {
          throw RevokedKeysError(.limitExceeded, "the list names more than \(Self.maximumSerialCount) certificates")
        }
        try list.add(serial, serial)
      }
    }
  }

  private var cutShort: RevokedKeysError {
    RevokedKeysError(.malformed, "the list is cut short, or was changed; copy it again")
  }
}

extension RevokedKeys.CertificateList {
  fileprivate mutating func add(_ first: UInt64, _ last: UInt64) throws(RevokedKeysError) {
    guard first > 0, first <= last else {
      throw RevokedKeysError(.malformed, "the list names certificates \(first) to \(last), which are no serial numbers")
    }
    // Bitmaps and lists come in order: neighbours become one range.
    if let range = serials.last, range.upperBound < .max, range.upperBound + 1 == first {
      serials[serials.count - 1] = range.lowerBound...last
    } else {
      serials.append(first...last)
    }
  }

  fileprivate mutating func add(_ other: Self) {
    serials += other.serials
    keyIDs.formUnion(other.keyIDs)
  }
}
