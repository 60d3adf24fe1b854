import DesiredStateSupport

/// What a document's id may be, so that it can be a file's name on any device without doing harm.
public enum DocumentID {
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
  public static func check(_ ids: [String]) throws(VerificationError) {
    // Swift compares strings by canonical equivalence (Unicode normalisation), which is just what is wanted here.
    var idOfFolded: [String: String] = Dictionary(minimumCapacity: ids.count)
    var directories: Set<String> = []
    for id in ids {
      if let fault = fault(in: id) {
        throw VerificationError(.unsafeDocumentID, "document id \(shown(id)) cannot be a file name: \(fault)")
      }
      let folded = id.lowercased()
      if let other = idOfFolded.updateValue(id, forKey: folded) {
        guard !other.utf8.elementsEqual(id.utf8) else {
          throw VerificationError(.duplicateDocument, "document id \(shown(id)) is there twice")
        }
        throw VerificationError(
          .unsafeDocumentID,
          "document ids \(shown(other)) and \(shown(id)) are one file name where case or Unicode form does not count")
      }
      var end = folded.startIndex
      while let slash = folded[end...].firstIndex(of: "/") {
        directories.insert(String(folded[..<slash]))
        end = folded.index(after: slash)
      }
    }
    for directory in directories {
      if let id = idOfFolded[directory] {
        throw VerificationError(.unsafeDocumentID, "document id \(shown(id)) is also the directory of another document")
      }
    }
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
