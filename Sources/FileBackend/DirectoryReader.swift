import DesiredState
import DesiredStateSupport
import DropArchive
import Glibc

/// Reads documents that are files below a directory: of a drop, or of a plain directory.
struct DirectoryReader: DocumentReader {
  let access: Access
  /// The directory's absolute path. It is opened anew for each document: a state that is still held must not
  /// keep a disk from being unmounted.
  let root: String
  /// Whether the directory is a drop, whose documents are where the manifest says; otherwise an id is a path.
  let isDrop: Bool

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let path = try path(of: document)
    // Opening and reading the first chunk is one errand for the thread: of thousands of small documents, each costs one.
    let opened = try await access.run {
      let directory = try reachable { () throws(FileError) in try OpenDirectory(root) }
      let file: SharedFile
      do throws(FileError) {
        file = SharedFile(try directory.file(at: path, links: links))
      } catch {
        throw SourceFailure.document(document, error, source: root)
      }
      return try reachable { () throws(FileError) in
        // One byte more than there is, so that the end is seen when it is reached.
        let first = min(try file.open.status().size, Files.chunkSize) + 1
        let bytes = try file.read(upTo: first, at: 0)
        return bytes.count < first ? Opened.whole(bytes) : .part(file, bytes)
      }
    }
    switch opened {
    case .whole(let bytes): return DocumentBytes(bytes)
    case .part(let file, let bytes): return FileBytes(access: access, file: file, first: bytes)
    }
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    guard let path = try? path(of: document) else { return nil }
    return try? await access.run { try OpenDirectory(root).status(at: path, links: links).fingerprint }
  }

  /// Whatever fails in there is the source's disk failing, not a document.
  private func reachable<Value: ~Copyable>(_ work: () throws(FileError) -> Value) throws(BackendError) -> Value {
    do {
      return try work()
    } catch {
      throw SourceFailure.unreachable(error, source: root)
    }
  }

  private var links: OpenDirectory.SymlinkPolicy { isDrop ? .below : .none }

  private func path(of document: DocumentReference) throws(VerificationError) -> String {
    isDrop ? try DropLayout.path(of: document) : document.id
  }

  private enum Opened: Sendable {
    case whole([UInt8])
    case part(SharedFile, [UInt8])
  }
}

/// A file's bytes, one chunk at a time.
struct FileBytes: AsyncSequence, Sendable {
  let access: Access
  let file: SharedFile
  let first: [UInt8]

  struct AsyncIterator: AsyncIteratorProtocol {
    let access: Access
    let file: SharedFile
    var first: [UInt8]?
    var offset = 0

    mutating func next() async throws -> [UInt8]? {
      if let bytes = first {
        first = nil
        offset = bytes.count
        return bytes
      }
      let bytes = try await access.run { [file, offset] in
        do {
          return try file.read(upTo: Files.chunkSize, at: offset)
        } catch let error as FileError {
          throw SourceFailure.unreachable(error, source: file.open.path)
        }
      }
      offset += bytes.count
      return bytes.isEmpty ? nil : bytes
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(access: access, file: file, first: first) }
}
