import DesiredStateSupport
public import FoundationEssentials
import Glibc

extension Document {
  /// The document as a value of a type, from JSON.
  ///
  /// It is in memory as a whole: `limit` bounds that.
  ///
  /// - Parameters:
  ///   - type: the type to decode.
  ///   - decoder: with the strategies that the document's publisher keeps to.
  ///   - limit: the longest document that is read, in bytes.
  /// - Throws: `DecodingError`; ``VerificationError`` with `limit-exceeded` if it is longer; as ``contents(limit:)`` does.
  public func decode<Value: Decodable>(
    _ type: Value.Type = Value.self, using decoder: JSONDecoder = JSONDecoder(), limit: Int = 16 << 20
  ) async throws -> Value {
    try decoder.decode(type, from: Data(try await contents(limit: limit)))
  }

  /// Writes the document to a file in pieces, whatever its size, and puts it in place when its digest has proved right: the
  /// file has the old content or the new one, also after a power cut.
  ///
  /// - Parameters:
  ///   - path: the file; its directory is there.
  ///   - mode: the permissions of the file.
  /// - Throws: ``FileError``; as ``contents(limit:)`` does. The file is then as it was.
  public func write(to path: String, mode: UInt32 = 0o644) async throws {
    let temporary = Files.temporaryName(for: path)
    do {
      try await worker.run {
        let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        // Whatever the umask says.
        guard fchmod(file.descriptor, mode) == 0 else { throw FileError("set the permissions of", temporary) }
      }
      for try await chunk in bytes {
        try await worker.run { try OpenFile(temporary, O_WRONLY | O_APPEND).write(chunk) }
      }
      try await worker.run {
        try OpenFile(temporary, O_RDONLY).synchronize()
        try Files.rename(temporary, to: path)
        try Files.synchronizeDirectory(Files.parent(path))
      }
    } catch {
      try? await worker.run { try Files.remove(temporary) }
      throw error
    }
  }
}
