import CGit2

/// A signature that a commit or an annotated tag carries, and what it is over.
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

extension ObjectStore {
  /// The signature of a commit; nil if it has none.
  func signature(ofCommit id: ObjectID) throws(LibGit2Error) -> ObjectSignature? {
    var oid = id.git
    var signature = git_buf()
    var payload = git_buf()
    defer {
      git_buf_dispose(&signature)
      git_buf_dispose(&payload)
    }
    do {
      // git_commit_extract_signature(3): GIT_ENOTFOUND if the commit is not signed. Nil means the field 'gpgsig', which
      // holds signatures of every format.
      try LibGit2.call("read the signature of commit \(id)") {
        git_commit_extract_signature(&signature, &payload, repository, &oid, nil)
      }
    } catch {
      if error.isNotFound { return nil }
      throw error
    }
    return ObjectSignature(what: "commit \(id)", payload: Self.bytes(payload), signature: Self.bytes(signature))
  }

  /// The signature of an annotated tag; nil if it has none.
  ///
  /// It is the end of the message, from the last line on that begins a signature, as git itself finds it; what it is
  /// over is everything before.
  func signature(ofTag id: ObjectID) throws(LibGit2Error) -> ObjectSignature? {
    let content = try read(id)
    var start: Int?
    var line = 0
    while line < content.count {
      if ObjectSignature.format(of: content[line...]) != .unknown { start = line }
      line = (content[line...].firstIndex(of: UInt8(ascii: "\n")) ?? content.count) + 1
    }
    return start.map {
      ObjectSignature(what: "tag \(id)", payload: Array(content[..<$0]), signature: Array(content[$0...]))
    }
  }

  static func bytes(_ buffer: git_buf) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: buffer.ptr, count: buffer.size))
  }
}
