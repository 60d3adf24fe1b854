import Foundation
import Testing

@testable import SSHSignatures

/// The real ssh-keygen (Debian package openssh-client), in a directory of its own that goes away with it.
final class SSHKeygen: Sendable {
  let directory: URL

  /// Every kind of key that ssh-keygen makes without hardware and that is supported here.
  static let keyKinds = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072"]

  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "ssh-keygen-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: directory)
  }

  struct Outcome {
    var status: Int32
    var output: String
    var errors: String
  }

  /// What one ssh-keygen made: the private key's file and the line of its `.pub` file.
  struct KeyPair {
    var file: URL
    var publicLine: String

    var publicKey: SSHPublicKey {
      get throws { try SSHPublicKey(parsing: publicLine) }
    }
  }

  /// Runs ssh-keygen, with its standard streams in files so that nothing waits for a pipe.
  func run(_ arguments: [String], input: [UInt8] = [], environment: [String] = []) throws -> Outcome {
    let inputFile = try file(containing: input)
    let (outputFile, errorsFile) = (try file(containing: []), try file(containing: []))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, inputFile.path, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputFile.path, O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, errorsFile.path, O_WRONLY, 0)
    let path = "PATH=" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
    var argumentPointers = (["ssh-keygen"] + arguments).map { strdup($0) } + [nil]
    var environmentPointers = ([path, "HOME=" + directory.path] + environment).map { strdup($0) } + [nil]
    defer {
      for pointer in argumentPointers + environmentPointers {
        free(pointer)
      }
    }
    var process = pid_t()
    let failure = posix_spawnp(&process, "ssh-keygen", &actions, nil, &argumentPointers, &environmentPointers)
    try #require(failure == 0, "ssh-keygen could not be started; install openssh-client")
    var status: Int32 = 0
    while waitpid(process, &status, 0) == -1, errno == EINTR {}
    return Outcome(
      status: status & 0x7f == 0 ? status >> 8 & 0xff : -1,
      output: String(decoding: try Data(contentsOf: outputFile), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errorsFile), as: UTF8.self))
  }

  func file(containing bytes: [UInt8]) throws -> URL {
    let file = directory.appending(path: UUID().uuidString)
    try Data(bytes).write(to: file)
    return file
  }

  /// Makes a key: "ed25519", or a type and its bits, as in "rsa-3072".
  func makeKey(_ kind: String = "ed25519") throws -> KeyPair {
    let parts = kind.split(separator: "-").map(String.init)
    let file = directory.appending(path: UUID().uuidString)
    var arguments = ["-q", "-t", parts[0], "-N", "", "-C", "a comment", "-f", file.path]
    if parts.count > 1 {
      arguments += ["-b", parts[1]]
    }
    let outcome = try run(arguments)
    try #require(outcome.status == 0, "ssh-keygen made no \(kind) key: \(outcome.errors)")
    return KeyPair(file: file, publicLine: try String(contentsOf: file.appendingPathExtension("pub"), encoding: .utf8))
  }

  /// Signs a message: the armored signature.
  func sign(
    _ message: [UInt8], with key: KeyPair, namespace: String = "desired-state", hash: String? = nil
  ) throws -> [UInt8] {
    let arguments = ["-Y", "sign", "-q", "-f", key.file.path, "-n", namespace]
    let outcome = try run(arguments + (hash.map { ["-O", "hashalg=\($0)"] } ?? []), input: message)
    try #require(outcome.status == 0, "ssh-keygen did not sign: \(outcome.errors)")
    return Array(outcome.output.utf8)
  }

  /// Whether ssh-keygen says that the signature is that of a principal in the allowed signers.
  func verifies(
    _ signature: [UInt8], of message: [UInt8], allowedSigners: String, principal: String, namespace: String,
    time: String? = nil, timeZone: String = "UTC0"
  ) throws -> Bool {
    let arguments = [
      "-Y", "verify", "-f", try file(containing: Array(allowedSigners.utf8)).path, "-I", principal, "-n", namespace,
      "-s", try file(containing: signature).path,
    ]
    let option = time.map { ["-O", "verify-time=\($0)"] } ?? []
    return try run(arguments + option, input: message, environment: ["TZ=\(timeZone)"]).status == 0
  }
}

/// Armors the binary form of a signature as ssh-keygen does (PROTOCOL.sshsig section 1).
func armor(_ blob: [UInt8]) -> [UInt8] {
  let base64 = Data(blob).base64EncodedString(options: [.lineLength76Characters, .endLineWithLineFeed])
  return Array("-----BEGIN SSH SIGNATURE-----\n\(base64)\n-----END SSH SIGNATURE-----\n".utf8)
}

/// The binary form of a signature that ssh-keygen armored.
func dearmor(_ armored: [UInt8]) throws -> [UInt8] {
  let lines = String(decoding: armored, as: UTF8.self).split(separator: "\n")
  return Array(try #require(Data(base64Encoded: lines.dropFirst().dropLast().joined())))
}

/// The binary form of a signature from its fields (PROTOCOL.sshsig section 2).
func signatureBlob(
  version: UInt32 = 1, publicKey: [UInt8], namespace: String = "desired-state", reserved: [UInt8] = [],
  hash: String = "sha512", signature: [UInt8]
) -> [UInt8] {
  var blob = Array("SSHSIG".utf8)
  blob.appendSSHUInt32(version)
  blob.appendSSHString(publicKey)
  blob.appendSSHString(namespace.utf8)
  blob.appendSSHString(reserved)
  blob.appendSSHString(hash.utf8)
  blob.appendSSHString(signature)
  return blob
}

/// An SSH `string` after another.
func sshStrings(_ strings: [UInt8]...) -> [UInt8] {
  var bytes: [UInt8] = []
  for string in strings {
    bytes.appendSSHString(string)
  }
  return bytes
}

/// The SSH `string`s that the bytes consist of.
func readSSHStrings(_ bytes: some Collection<UInt8>) throws -> [[UInt8]] {
  var reader = SSHWireReader(Array(bytes))
  var strings: [[UInt8]] = []
  while !reader.isAtEnd {
    let string = reader.readString()
    strings.append(Array(try #require(string)))
  }
  return strings
}

/// An SSH `mpint` from a big-endian magnitude.
func multiplePrecisionInteger(_ magnitude: some Collection<UInt8>) -> [UInt8] {
  let digits = Array(magnitude.drop { $0 == 0 })
  return digits.first.map { $0 >= 0x80 } ?? false ? [0] + digits : digits
}
