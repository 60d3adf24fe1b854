import DesiredStateSupport
import Subprocess
import SystemPackage

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

  /// The public keys of all keys, each as a line of `authorized_keys` has it: from the file itself, from the one beside it
  /// that ends in `.pub`, or by `ssh-keygen -y`.
  ///
  /// - Throws: ``PublicationError`` with `unsigned` if one cannot be had.
  public func publicKeys() async throws -> [String] {
    var lines: [String] = []
    for key in keys {
      let texts = try await Worker("desired-state.keys").run {
        try [key, key + ".pub"].map { path -> String? in
          guard FileStatus(at: path) != nil else { return nil }
          return try Files.read(path, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
        }
      }
      if let line = texts.compactMap(\.self).first(where: { !$0.hasPrefix("-----") }) {
        lines.append(String(line.prefix { $0 != "\n" && $0 != "\r\n" }))
      } else {
        lines.append(String(decoding: try await run(["-y", "-f", key], "read", key), as: UTF8.self))
      }
    }
    return lines
  }

  private func sign(_ manifest: [UInt8], with key: String) async throws -> [UInt8] {
    try await run(["-q", "-Y", "sign", "-n", namespace, "-f", key], "sign with", key, input: manifest)
  }

  private func run(
    _ arguments: Arguments, _ verb: String, _ key: String, input: [UInt8] = []
  ) async throws -> [UInt8] {
    do {
      // Not a pipe: a program that ends before it has read one ends this one as well, by SIGPIPE.
      let file = try OpenFile.inMemory(input, called: "ssh-keygen's input")
      defer { withExtendedLifetime(file) {} }
      let result = try await Subprocess.run(
        .name("ssh-keygen"), arguments: arguments,
        input: .fileDescriptor(FileDescriptor(rawValue: file.descriptor), closeAfterSpawningProcess: false),
        output: .bytes(limit: 1 << 20), error: .string(limit: 1 << 16))
      guard result.terminationStatus.isSuccess else {
        let complaint = result.standardError.split(separator: "\n").joined(separator: "; ")
        throw PublicationError(.unsigned, "ssh-keygen could not \(verb) \(key): \(complaint)")
      }
      return result.standardOutput
    } catch let error as SubprocessError {
      throw PublicationError(
        .unsigned, "ssh-keygen cannot be run; install OpenSSH's client programs", underlying: error)
    }
  }
}
