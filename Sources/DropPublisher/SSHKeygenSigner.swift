import Subprocess

/// Signs by running `ssh-keygen -Y sign` (OpenSSH 8.0 or newer), so that every key that ssh signs with works here: a key
/// file, an agent, a hardware token that wants to be touched.
public struct SSHKeygenSigner: ManifestSigner {
  /// The paths of private keys, or of public ones whose private half an agent holds.
  public let keys: [String]
  /// The signatures' purpose (PROTOCOL.sshsig): `desired-state` for manifests, `git` for commits.
  public let namespace: String

  /// A signer with these keys; nothing is read before it signs.
  public init(keys: [String], namespace: String = "desired-state") {
    self.keys = keys
    self.namespace = namespace
  }

  /// The armored signatures of all keys, one after the other. ssh-keygen asks for a passphrase, or for a touch, on the
  /// terminal itself.
  ///
  /// - Throws: ``PublicationError`` with `unsigned` if ssh-keygen is not there or does not sign with one of the keys.
  public func sign(_ manifest: [UInt8]) async throws -> [UInt8] {
    var signatures: [UInt8] = []
    for key in keys { signatures += try await sign(manifest, with: key) }
    return signatures
  }

  private func sign(_ manifest: [UInt8], with key: String) async throws -> [UInt8] {
    do {
      let result = try await Subprocess.run(
        .name("ssh-keygen"), arguments: ["-q", "-Y", "sign", "-n", namespace, "-f", key],
        input: .array(manifest), output: .bytes(limit: 1 << 20), error: .string(limit: 1 << 16))
      guard result.terminationStatus.isSuccess else {
        let complaint = result.standardError.split(separator: "\n").joined(separator: "; ")
        throw PublicationError(.unsigned, "ssh-keygen could not sign with \(key): \(complaint)")
      }
      return result.standardOutput
    } catch let error as SubprocessError {
      throw PublicationError(
        .unsigned, "ssh-keygen cannot be run; install OpenSSH's client programs", underlying: error)
    }
  }
}
