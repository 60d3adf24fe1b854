import CArchive
package import DesiredState
import DesiredStateSupport
import Glibc

/// Reads a `.tar.gz` from front to back, trusting nothing in it: regular files and directories with plain relative
/// paths, within limits that hold while reading.
///
/// Used by one thread at a time.
package final class TarReader {
  /// One file or directory of the archive.
  package struct Entry {
    /// The path without `.` components, relative and without `..`.
    package let path: String
    package let isDirectory: Bool
    package let size: UInt64
  }

  /// How many entries have been begun; the current one is number `position - 1`.
  package private(set) var position = 0

  private static let chunk = 256 << 10
  private let archive: OpaquePointer
  private let input: Input
  private let name: String
  private let limits: Limits
  private var declared: UInt64 = 0
  private var isEntryOpen = false

  /// Starts at the front of an open file.
  ///
  /// - Throws: ``VerificationError`` with `manifest-malformed` if it is no gzip file; ``FileError``.
  package init(_ file: SharedFile, limits: Limits) throws {
    input = Input(file)
    name = file.open.path
    self.limits = limits
    let magic = try file.read(upTo: 3, at: 0)
    // RFC 1952 section 2.3.1: two bytes of identification, then the method, of which 8, deflate, is the only one.
    guard magic.elementsEqual([0x1F, 0x8B, 8].prefix(magic.count)) else {
      throw VerificationError(.manifestMalformed, "\(name) is neither a drop directory nor a .tar.gz bundle of one")
    }
    guard magic.count == 3 else { throw Self.truncated(name) }
    guard let archive = archive_read_new() else { throw ArchiveError("no memory for an archive") }
    self.archive = archive
    // archive_read_filter(3): naming the filter instead of allowing it turns the guessing off, so that exactly one layer
    // of gzip is undone. A bomb wrapped several times stays wrapped.
    try check(archive_read_append_filter(archive, ARCHIVE_FILTER_GZIP))
    // archive_read_format(3): ustar, pax and GNU tar; no other format is ever tried.
    try check(archive_read_support_format_tar(archive))
    try check(Self.open(archive, input))
  }

  /// archive_read_open(3): the callback gives a buffer that stays valid until it is called again; `input` owns it, and
  /// must live as long as the handle.
  private static func open(_ archive: OpaquePointer, _ input: Input) -> Int32 {
    archive_read_open(
      archive, Unmanaged.passUnretained(input).toOpaque(), nil,
      { _, client, buffer in Unmanaged<Input>.fromOpaque(client!).takeUnretainedValue().next(buffer!) }, nil)
  }

  deinit { archive_read_free(archive) }

  /// The next entry, or nil at the end of the archive. The current one must have been read or skipped to its end.
  ///
  /// - Throws: ``VerificationError``: see ``failure()``, and `limit-exceeded`, and `manifest-malformed` for an entry that
  ///   has no place in a bundle.
  package func next() throws -> Entry? {
    var entry: OpaquePointer?
    let status = archive_read_next_header(archive, &entry)
    if status == ARCHIVE_EOF {
      // Two blocks of zeros end an archive. Nothing at all where an entry should begin is an end as well to libarchive,
      // but gzip(1) and tar(1) never leave that behind.
      return nil
    }
    // ARCHIVE_WARN: "Operation completed, but something was not quite right", for instance a name not in this locale.
    guard status == ARCHIVE_OK || status == ARCHIVE_WARN, let entry else { throw failure() }
    position += 1
    isEntryOpen = true
    guard position <= 2 * limits.documentCount + 1000 else {
      throw VerificationError(.limitExceeded, "\(name) has more than \(2 * limits.documentCount + 1000) entries")
    }
    try checkInflation()
    return try checked(entry)
  }

  /// Reads the current entry to its end; nil if it is longer than `limit`.
  package func read(limit: Int) throws -> [UInt8]? {
    var bytes: [UInt8] = []
    while true {
      let chunk = try read(upTo: min(limit - bytes.count + 1, Self.chunk))
      if chunk.isEmpty { return bytes }
      bytes += chunk
      guard bytes.count <= limit else { return nil }
    }
  }

  /// The next bytes of the current entry; fewer than asked for only at its end.
  package func read(upTo count: Int) throws -> [UInt8] {
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = 0
      while filled < count, isEntryOpen {
        // archive_read_data(3): the number of bytes read, 0 at the end of the entry, negative on error.
        let received = archive_read_data(archive, buffer.baseAddress! + filled, count - filled)
        if received == 0 { isEntryOpen = false }
        failed = received < 0
        guard received > 0 else { return }
        filled += received
      }
    }
    guard !failed else { throw failure() }
    try checkInflation()
    return bytes
  }

  /// Passes over the rest of the current entry.
  ///
  /// - Returns: false if the deadline came first; call again then.
  package func skip(until deadline: ContinuousClock.Instant) throws -> Bool {
    // Not archive_read_data_skip(3): it would inflate gigabytes in one call, past every limit and deadline.
    while isEntryOpen {
      var block: UnsafeRawPointer?
      var count = 0
      var offset: la_int64_t = 0
      switch archive_read_data_block(archive, &block, &count, &offset) {
      case ARCHIVE_OK: try checkInflation()
      case ARCHIVE_EOF: isEntryOpen = false
      default: throw failure()
      }
      if isEntryOpen, ContinuousClock.now > deadline { return false }
    }
    return true
  }

  // MARK: - Checks

  /// Text compresses ten to thirty times, and deflate manages a thousand at most: an archive that inflates 250-fold
  /// beyond the first 64 MiB was made to be one that inflates.
  private func checkInflation() throws(VerificationError) {
    // archive_util(3): archive_filter_bytes counts the bytes that passed a filter; -1 is the file, 0 the tar stream.
    let packed = archive_filter_bytes(archive, -1)
    let unpacked = archive_filter_bytes(archive, 0)
    guard unpacked <= 64 << 20 + 250 * packed else {
      throw VerificationError(
        .limitExceeded, "\(name) inflates to more than 250 times its size; \(unpacked) bytes were seen so far")
    }
  }

  private func checked(_ entry: OpaquePointer) throws -> Entry {
    // The raw bytes where they are UTF-8; a pax header's name is UTF-8 in any locale.
    guard let text = archive_entry_pathname(entry) ?? archive_entry_pathname_utf8(entry),
      let path = String(validatingCString: text)
    else { throw malformed("entry \(position) has a name that is not UTF-8") }
    let shown = quoted(path, limit: 120)
    guard !path.hasPrefix("/") else { throw malformed("the path \(shown) is absolute") }
    let components = path.split(separator: "/").filter { $0 != "." }
    guard !components.contains("..") else { throw malformed("the path \(shown) contains '..'") }
    guard archive_entry_hardlink(entry) == nil else { throw malformed("\(shown) is a hard link") }
    let type = mode_t(archive_entry_filetype(entry))
    guard type == S_IFREG || type == S_IFDIR else { throw malformed("\(shown) is \(Self.kind(type))") }
    guard archive_entry_sparse_count(entry) == 0 else {
      throw malformed("\(shown) is a sparse file; pack it as a plain one")
    }
    let size = type == S_IFREG ? archive_entry_size(entry) : 0
    guard size >= 0 else { throw malformed("\(shown) has a negative size") }
    guard UInt64(size) <= limits.documentSize else {
      throw VerificationError(
        .limitExceeded, "\(shown) in \(name) has \(size) bytes, the limit is \(limits.documentSize)")
    }
    declared = declared.addingReportingOverflow(UInt64(size)).partialValue
    let total = limits.totalSize.addingReportingOverflow(UInt64(limits.manifestSize)).partialValue
    guard declared <= total else {
      throw VerificationError(.limitExceeded, "\(name) unpacks to more than \(total) bytes in all")
    }
    return Entry(path: components.joined(separator: "/"), isDirectory: type == S_IFDIR, size: UInt64(size))
  }

  private static func kind(_ type: mode_t) -> String {
    switch type {
    case S_IFLNK: "a symbolic link"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    case S_IFCHR, S_IFBLK: "a device"
    default: "of an unknown type"
    }
  }

  private func malformed(_ reason: String) -> VerificationError {
    VerificationError(.manifestMalformed, "in \(name) \(reason); a bundle has only regular files and directories")
  }

  // MARK: - Errors

  private func check(_ status: Int32) throws {
    guard status == ARCHIVE_OK else { throw failure() }
  }

  /// The cause of the last failure: the disk, the end of the file, or its contents.
  private func failure() -> any Error {
    if let failure = input.failure { return failure }
    let error = ArchiveError(lastOf: archive)
    // Before the first entry the complaint is about the tar format, whatever gzip had to say.
    if error.isTruncation || position == 0 && isTruncated() { return Self.truncated(name) }
    return VerificationError(.manifestMalformed, "\(name) cannot be unpacked: \(error)")
  }

  /// Whether not even the first block can be unpacked.
  private func isTruncated() -> Bool {
    guard let archive = archive_read_new() else { return false }
    defer { archive_read_free(archive) }
    let input = Input(input.file)
    return withExtendedLifetime(input) {
      // archive_read_format(3): raw takes whatever comes out of the filter, unless nothing does.
      archive_read_append_filter(archive, ARCHIVE_FILTER_GZIP) == ARCHIVE_OK
        && archive_read_support_format_raw(archive) == ARCHIVE_OK
        && Self.open(archive, input) != ARCHIVE_OK
    }
  }

  /// A bundle that ends in the middle may be one that is being copied: `document-missing`, which
  /// is looked at again at every poll.
  package static func truncated(_ name: String) -> VerificationError {
    VerificationError(
      .documentMissing,
      "\(name) ends in the middle, or is damaged; if it is being copied it will be seen at the next poll")
  }

  /// Hands the file to libarchive, block by block.
  private final class Input {
    let file: SharedFile
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    private var offset = 0
    private(set) var failure: FileError?

    init(_ file: SharedFile) { self.file = file }
    deinit { buffer.deallocate() }

    /// archive_read_open(3): returns the number of bytes made available, 0 at the end, -1 on error.
    func next(_ bytes: UnsafeMutablePointer<UnsafeRawPointer?>) -> la_ssize_t {
      var received = 0
      repeat {
        received = pread(file.open.descriptor, buffer.baseAddress, buffer.count, off_t(offset))
      } while received < 0 && errno == EINTR
      if received < 0 { failure = FileError("read", file.open.path) }
      bytes.pointee = UnsafeRawPointer(buffer.baseAddress)
      offset += max(received, 0)
      return received
    }
  }
}
