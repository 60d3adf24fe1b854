import CGit2

/// A signature that a commit or an annotated tag carries, and the signed bytes.
struct ObjectSignature: Sendable {
  /// `commit 1234…` or `tag v7 (1234…)`, for messages.
  let what: String
  let payload: [UInt8]
  let signature: [UInt8]

  /// Which kind it is, by its first line (git-config(1), `gpg.format`).
  enum Format { case ssh, openPGP, x509, unknown }

  var format: Format { Self.format(of: signature) }

  static func format(of line: some Collection<UInt8>) -> Format {
    func begins(_ text: String) -> Bool { line.starts(with: text.utf8) }
    if begins("-----BEGIN SSH SIGNATURE-----") { return .ssh }
    if begins("-----BEGIN PGP SIGNATURE-----") || begins("-----BEGIN PGP MESSAGE-----") { return .openPGP }
    if begins("-----BEGIN SIGNED MESSAGE-----") { return .x509 }
    return .unknown
  }
}

extension ObjectSignature {
  /// The signature of a commit, from its content; nil if it has none.
  ///
  /// It is in the header field 'gpgsig', whose further lines begin with a space, and is over everything else.
  init?(ofCommit id: ObjectID, _ content: [UInt8]) {
    var payload: [UInt8] = []
    var signature: [UInt8] = []
    var isInside = false
    var rest = content[...]
    while let end = rest.firstIndex(of: 10) {
      let line = rest[rest.startIndex...end]
      // An empty line ends the header.
      guard line.count > 1 else { break }
      rest = rest[(end + 1)...]
      if isInside, line.first == 32 {
        signature += line.dropFirst()
      } else {
        isInside = signature.isEmpty && line.starts(with: "gpgsig ".utf8)
        if isInside { signature += line.dropFirst(7) } else { payload += line }
      }
    }
    guard !signature.isEmpty else { return nil }
    self.init(what: "commit \(id)", payload: payload + rest, signature: signature)
  }

  /// The signature of an annotated tag, from its content; nil if it has none.
  ///
  /// It is the end of the message, from the last line on that begins a signature, as git itself finds it; it is over
  /// everything before.
  init?(ofTag id: ObjectID, _ content: [UInt8]) {
    var start: Int?
    var line = 0
    while line < content.count {
      if Self.format(of: content[line...]) != .unknown { start = line }
      line = (content[line...].firstIndex(of: UInt8(ascii: "\n")) ?? content.count) + 1
    }
    guard let start else { return nil }
    self.init(what: "tag \(id)", payload: Array(content[..<start]), signature: Array(content[start...]))
  }
}

extension ObjectStore {
  static func bytes(_ buffer: git_buf) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: buffer.ptr, count: buffer.size))
  }
}
