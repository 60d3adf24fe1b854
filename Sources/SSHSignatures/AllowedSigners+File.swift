import DesiredStateSupport

extension AllowedSigners {
  /// Reads an `allowed_signers` file.
  ///
  /// - Throws: `FileError` if it cannot be read; ``AllowedSignersError``, which names the line, if it cannot be parsed.
  public static func read(_ path: String) async throws -> AllowedSigners {
    try await Worker("desired-state.trust").run {
      guard let bytes = try Files.read(path, limit: maximumFileSize),
        let text = String(validating: bytes, as: UTF8.self)
      else {
        throw AllowedSignersError(
          .malformed, line: nil, "\(path) is not an allowed_signers file: it is too long, or not text")
      }
      return try AllowedSigners(parsing: text)
    }
  }
}
