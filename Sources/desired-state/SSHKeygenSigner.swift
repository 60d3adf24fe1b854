import DropPublisher
import FileBackend
import Subprocess

/// Signs by running `ssh-keygen -Y sign`, so that whatever ssh can sign with works here: a key file, an agent, a
/// hardware token that wants to be touched.
struct SSHKeygenSigner: ManifestSigner {
  /// Private keys, or public ones whose private half an agent holds.
  let keys: [String]
  /// What the signatures are for (PROTOCOL.sshsig): `desired-state` for manifests, `git` for commits.
  var namespace = "desired-state"

  /// The armored signatures of all keys, one after the other.
  func sign(_ manifest: [UInt8]) async throws -> [UInt8] {
    var signatures: [UInt8] = []
    for key in keys {
      // ssh-keygen asks for a passphrase, or for a touch, on the terminal itself.
      let result = try await Subprocess.run(
        .name("ssh-keygen"), arguments: ["-q", "-Y", "sign", "-n", namespace, "-f", key],
        input: .array(manifest), output: .bytes(limit: 1 << 20), error: .string(limit: 1 << 16))
      guard result.terminationStatus.isSuccess else {
        let complaint = result.standardError.split(separator: "\n").joined(separator: "; ")
        throw SigningError(description: "ssh-keygen could not sign with \(key): \(complaint)")
      }
      signatures += result.standardOutput
    }
    return signatures
  }
}

/// The manifest could not be signed; nothing was published.
struct SigningError: Error, CustomStringConvertible {
  let description: String
}
