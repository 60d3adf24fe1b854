import CArchive

/// libarchive refused, or could not go on.
package struct ArchiveError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }

  /// What the handle's last call complained about. archive_error_string(3): valid until the next call on the handle, so
  /// it is copied here and now.
  package init(lastOf archive: OpaquePointer) {
    description = archive_error_string(archive).map { String(cString: $0) } ?? "unknown error"
  }

  /// Whether the input ended too early. libarchive has no code of its own for that, but says so: "truncated gzip input",
  /// "Truncated tar archive".
  var isTruncation: Bool { description.lowercased().contains("truncated") }
}
