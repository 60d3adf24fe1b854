package import DesiredState
import Foundation
import Glibc
package import TestSupport

/// A repository behind sshd, with a host key of its own.
package final class GitOverSSH: TransportUnderTest {
  package let repository: OperatorRepository
  package let port = Endpoint.reservedPort()
  package let folder = TemporaryDirectory()
  private let sshd: ServerProcess

  /// - Parameter speaksVersion2: whether sshd passes on which protocol the client would like; by itself it does not.
  package init(_ repository: OperatorRepository, speaksVersion2: Bool = true, command: String? = nil) async throws {
    self.repository = repository
    for name in ["host", "other-host", "device", "other-device"] {
      try await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder[name]])
    }
    let device = String(decoding: try contents(of: folder["device.pub"]), as: UTF8.self)
    try write((command.map { "command=\"\($0)\" " } ?? "") + device, to: folder["authorized_keys"])
    for (file, key) in [("known_hosts", "host"), ("wrong_hosts", "other-host")] {
      let key = String(decoding: try contents(of: folder["\(key).pub"]), as: UTF8.self).split(separator: " ")
      try write("[127.0.0.1]:\(port) \(key[0]) \(key[1])\n", to: folder[file])
    }
    try write(
      """
      ListenAddress 127.0.0.1:\(port)
      HostKey \(folder["host"])
      AuthorizedKeysFile \(folder["authorized_keys"])
      PidFile none
      StrictModes no
      UsePAM no
      PasswordAuthentication no
      KbdInteractiveAuthentication no
      MaxStartups 200
      LogLevel ERROR
      \(speaksVersion2 ? "AcceptEnv GIT_PROTOCOL" : "")
      """, to: folder["sshd_config"])
    // sshd(8) run by root wants a directory to lock itself into.
    if getuid() == 0 { try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true) }
    sshd = ServerProcess(
      ["/usr/sbin/sshd", "-D", "-e", "-f", folder["sshd_config"]], listeningAt: [.port(port)],
      output: folder["sshd.log"])
    try await sshd.start()
  }

  package var address: String { "git+ssh://127.0.0.1:\(port)\(repository.path)" }
  package var settings: BackendSettings {
    BackendSettings {
      $0[.sshKey] = folder["device"]
      $0[.knownHosts] = folder["known_hosts"]
    }
  }
  package var secrets: [String] { [] }

  package func makeUnreachable() async throws { try await sshd.stop() }
  package func makeReachable() async throws { try await sshd.start() }
  package func stall() async throws { try await sshd.freeze() }
  package func waitUntilStalled() async throws { try await untilClientWaits(atPort: port) }
  package func resume() async throws { sshd.thaw() }
  package func bytes() async throws -> UInt64? { nil }
  package func tearDown() async { try? await sshd.stop() }
}
