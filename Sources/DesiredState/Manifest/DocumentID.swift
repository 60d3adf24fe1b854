import DesiredStateSupport

/// What a document's id may be, so that it can be a file's name on any device without doing harm.
package enum DocumentID {
  /// The longest path component in bytes that common file systems accept.
  static let maximumComponentLength = 255
  /// The longest id in bytes: it must fit below a directory within the 4096 bytes of Linux's `PATH_MAX`.
  static let maximumLength = 1024

  /// Checks the ids of one state, each alone and all together.
  ///
  /// An id is a relative path of ordinary names. No two may be the same, or the same to a file system that ignores
  /// case or normalises Unicode, and none may be a directory on the way to another.
  ///
  /// - Throws: ``VerificationError`` with `unsafe-document-id` or `duplicate-document`.
  package static func check(_ ids: [String]) throws(VerificationError) {
    for id in ids {
      if let fault = fault(in: id) {
        throw VerificationError(.unsafeDocumentID, "document id \(shown(id)) cannot be a file name: \(fault)")
      }
    }
    // Hashes of paths, not the paths: ids cost eight bytes each here, however long and deep they are. Hashes are seeded by
    // chance, so that no list can be made in which two paths share one; if two should, a closer look finds nothing.
    var hashes = Set<Int>(minimumCapacity: ids.count)
    for (index, id) in ids.enumerated() where !hashes.insert(hash(ofPath: folded(id))).inserted {
      let key = folded(id)
      if let twin = ids[..<index].first(where: { folded($0) == key }) { throw twins(twin, id) }
    }
    for id in ids {
      let key = folded(id)
      var found: Substring?
      hash(ofPath: key) { directory, hash in if hashes.contains(hash) { found = directory } }
      if let found, let directory = ids.first(where: { folded($0)[...] == found }) {
        throw VerificationError(
          .unsafeDocumentID, "document id \(shown(directory)) is also the directory of another document")
      }
    }
  }

  /// An id without its case. Swift compares and hashes strings by canonical equivalence (Unicode normalisation), which is
  /// right here.
  private static func folded(_ id: String) -> String {
    // Nearly all ids are like this one, and need no copy.
    id.utf8.allSatisfy { $0 < 0x80 && !(0x41...0x5a).contains($0) } ? id : id.lowercased()
  }

  /// A hash of a path, part by part, so that on the way each directory's hash is known too. A slash is looked for as a
  /// byte: to Swift, a slash before a combining mark is another character.
  @discardableResult
  private static func hash(ofPath path: String, directory: ((Substring, Int) -> Void)? = nil) -> Int {
    var hasher = Hasher()
    var start = path.startIndex
    while let slash = path.utf8[start...].firstIndex(of: UInt8(ascii: "/")) {
      path[start..<slash].hash(into: &hasher)
      directory?(path[..<slash], hasher.finalize())
      start = path.utf8.index(after: slash)
    }
    path[start...].hash(into: &hasher)
    return hasher.finalize()
  }

  private static func twins(_ one: String, _ other: String) -> VerificationError {
    guard !one.utf8.elementsEqual(other.utf8) else {
      return VerificationError(.duplicateDocument, "document id \(shown(one)) is there twice")
    }
    return VerificationError(
      .unsafeDocumentID,
      "document ids \(shown(one)) and \(shown(other)) are one file name where case or Unicode form does not count")
  }

  /// What makes an id unfit to be a relative path, or nil if it is fit.
  static func fault(in id: String) -> String? {
    if id.isEmpty { return "it is empty" }
    if id.utf8.count > maximumLength { return "it is longer than \(maximumLength) bytes" }
    for scalar in id.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: return "it contains a control character"
      case .format: return "it contains an invisible formatting character"
      default: break
      }
      if scalar == "\\" { return "it contains a backslash" }
    }
    for component in id.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      if component.isEmpty { return "it begins or ends with a slash, or has two in a row" }
      if component.elementsEqual(".".utf8) || component.elementsEqual("..".utf8) { return "it contains '.' or '..'" }
      if component.count > maximumComponentLength {
        return "a part of it is longer than \(maximumComponentLength) bytes"
      }
    }
    return nil
  }

  /// The id as it can be shown on a terminal, escaped and not too long.
  private static func shown(_ id: String) -> String { quoted(id) }
}
