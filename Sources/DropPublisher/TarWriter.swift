import CArchive
import DesiredState
import DesiredStateSupport
import DropArchive
import Glibc

/// Writes a `.tar.gz` of regular files. The same files in the same order give the same bytes: no times, no owners.
final class TarWriter {
  private let archive: OpaquePointer
  private let output: Output

  /// Starts an archive in a file that is created, or emptied.
  ///
  /// - Throws: ``FileError``, ``ArchiveError``.
  init(_ path: String) throws {
    output = Output(try OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC))
    guard let archive = archive_write_new() else { throw ArchiveError("no memory for an archive") }
    self.archive = archive
    // archive_write_format(3): plain ustar, with a pax header only where it does not suffice (a size over 8 GiB).
    try check(archive_write_set_format_pax_restricted(archive))
    try check(archive_write_add_filter_gzip(archive))
    // archive_write_set_options(3): without this the gzip header holds the time of day.
    try check(archive_write_set_filter_option(archive, "gzip", "timestamp", nil))
    // archive_write_blocksize(3): through a callback the last block is filled up with zeros unless told otherwise, and
    // gzip(1) complains about zeros at the end.
    try check(archive_write_set_bytes_in_last_block(archive, 1))
    // archive_write_open(3): the client data is only handed back to the callback; `output` lives as long as the handle.
    let opened = archive_write_open(
      archive, Unmanaged.passUnretained(output).toOpaque(), nil,
      { _, client, bytes, count in
        Unmanaged<Output>.fromOpaque(client!).takeUnretainedValue().write(
          UnsafeRawBufferPointer(start: bytes, count: count))
      }, nil)
    try check(opened)
  }

  // archive_write_free(3): closes the archive first if it is open; what that writes goes to `output`, still alive here.
  deinit { archive_write_free(archive) }

  /// Adds a file that is at hand in memory.
  func add(_ name: String, _ bytes: [UInt8]) throws {
    try begin(name, size: UInt64(bytes.count))
    try append(bytes)
    try end()
  }

  /// Adds a document, read anew, which must still have the bytes that were digested.
  ///
  /// - Throws: ``PublicationError`` if it changed in the meantime.
  func add(_ name: String, from file: borrowing OpenFile, digest: Digest, size: UInt64) throws {
    try begin(name, size: size)
    var hasher = Digest.Hasher()
    var count: UInt64 = 0
    while true {
      let bytes = try file.read(upTo: Files.chunkSize)
      guard !bytes.isEmpty else { break }
      count += UInt64(bytes.count)
      guard count <= size else { break }
      hasher.update(bytes)
      try append(bytes)
    }
    guard count == size, hasher.finalize() == digest else {
      throw PublicationError(.document, "\(file.path) changed while it was being packed; publish again")
    }
    try end()
  }

  /// Writes the end of the archive, and everything to the disk.
  ///
  /// - Returns: the digest and size of the archive.
  func finish() throws -> (digest: Digest, size: UInt64) {
    try check(archive_write_close(archive))
    try output.file.synchronize()
    return (output.hasher.finalize(), output.count)
  }

  private func begin(_ name: String, size: UInt64) throws {
    guard let entry = archive_entry_new() else { throw ArchiveError("no memory for an archive entry") }
    defer { archive_entry_free(entry) }
    archive_entry_set_pathname(entry, name)
    archive_entry_set_filetype(entry, S_IFREG as mode_t)
    archive_entry_set_perm(entry, 0o644)
    archive_entry_set_size(entry, la_int64_t(size))
    archive_entry_set_mtime(entry, 0, 0)
    try check(archive_write_header(archive, entry))
  }

  private func append(_ bytes: [UInt8]) throws {
    // archive_write_data(3): the number of bytes written, which the format cuts to the size in the header; -1 on error.
    guard archive_write_data(archive, bytes, bytes.count) == bytes.count else { throw failure() }
  }

  private func end() throws { try check(archive_write_finish_entry(archive)) }

  private func check(_ status: Int32) throws {
    guard status == ARCHIVE_OK else { throw failure() }
  }

  /// What went wrong: with the disk if it was that, else with the archive.
  private func failure() -> any Error { output.failure ?? ArchiveError(lastOf: archive) }

  /// Where the archive's bytes go.
  private final class Output {
    let file: OpenFile
    var hasher = Digest.Hasher()
    var count: UInt64 = 0
    var failure: FileError?

    init(_ file: consuming OpenFile) { self.file = file }

    /// archive_write_open(3): returns the number of bytes consumed, or -1.
    func write(_ bytes: UnsafeRawBufferPointer) -> la_ssize_t {
      do {
        try file.write(Array(bytes))
        hasher.update(bytes)
        count += UInt64(bytes.count)
        return bytes.count
      } catch {
        failure = error
        return -1
      }
    }
  }
}
