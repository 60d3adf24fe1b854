import ArgumentParser
import DesiredState
import SSHSignatures

/// Files of keys that an option names. A fault in one is told with its path.
enum KeyFiles {
  static func signers(_ path: String) async throws -> AllowedSigners {
    do {
      return try await AllowedSigners.read(path)
    } catch let error as AllowedSignersError {
      throw ValidationError("\(path): \(error)")
    }
  }

  static func revoked(_ path: String) async throws -> RevokedKeys {
    do {
      return try await RevokedKeys.read(path)
    } catch let error as RevokedKeysError {
      throw ValidationError("\(path): \(error)")
    }
  }
}
