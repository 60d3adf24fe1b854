package import DesiredState
import SSHSignatures
package import TestSupport

/// SSH keys of people, made once a process by ssh-keygen.
package struct Keys: Sendable {
  package let folder = TemporaryDirectory()

  package static let shared = Task { try await Keys() }

  private init() async throws {
    for name in ["operator", "second", "stranger"] {
      try await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder[name]])
    }
  }

  package func publicKey(_ name: String) throws -> String {
    String(decoding: try contents(of: folder["\(name).pub"]), as: UTF8.self)
      .split(separator: " ").prefix(2).joined(separator: " ")
  }

  /// The policy that trusts these people's keys, each under its own name.
  package func policy(
    _ names: [String] = ["operator"], namespaces: String = "git", threshold: Int = 1
  ) throws -> TrustPolicy {
    let lines = try names.map { "\($0)@plant.example namespaces=\"\(namespaces)\" \(try publicKey($0))\n" }
    return .signatures(by: try AllowedSigners(parsing: lines.joined()), threshold: threshold)
  }
}
