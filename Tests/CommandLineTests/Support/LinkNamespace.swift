import Foundation
import TestSupport
import Testing

/// A network of its own on this machine, with the server and the device in it and a firewall between them that can
/// forget connections, or be switched off.
final class LinkNamespace: Sendable {
  private let folder = TemporaryDirectory()
  private let holder: ServerProcess
  private let path: String

  /// Whether this machine gives the right to make one.
  static let isPossible: Bool = {
    guard getuid() == 0 else { return false }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["unshare", "-n", "sh", "-c", "PATH=$PATH:/usr/sbin:/sbin ip link set lo up"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  static func make() async throws -> LinkNamespace {
    let folder = TemporaryDirectory()
    let holder = ServerProcess(
      ["unshare", "-n", "sh", "-c", "ip link set lo up && echo $$ >\"$0\" && exec sleep infinity", folder["pid"]],
      listeningAt: [], output: folder["output"])
    try await holder.start()
    var identifier = ""
    try await until("the namespace is there") {
      identifier = ((try? String(contentsOfFile: folder["pid"], encoding: .utf8)) ?? "")
        .trimmingCharacters(in: .whitespacesAndNewlines)
      return !identifier.isEmpty
    }
    let namespace = LinkNamespace(holder, "/proc/\(identifier)/ns/net")
    try await namespace.useSource(5)
    return namespace
  }

  private init(_ holder: ServerProcess, _ path: String) { (self.holder, self.path) = (holder, path) }

  /// A command, to be run in it.
  func command(_ arguments: [String]) -> [String] { ["nsenter", "--net=\(path)"] + arguments }

  private func ip(_ arguments: String) async throws {
    try await Tool.succeed("env", ["PATH=/usr/sbin:/sbin:/usr/bin:/bin"] + command(["sh", "-c", "ip \(arguments)"]))
  }

  /// Connections to the server begin at 127.0.0.`number`.
  private func useSource(_ number: Int) async throws {
    try await ip("route replace local 127.0.0.1 dev lo table local src 127.0.0.\(number)")
  }

  /// Drops every packet of the connections there are, without a word. New ones are let through.
  func forget() async throws {
    try await useSource(6)
    try await ip("route add blackhole 127.0.0.5 table local")
  }

  /// Takes the interface away.
  func disconnect() async throws { try await ip("link set lo down") }

  func connect() async throws { try await ip("link set lo up") }

  func end() async { try? await holder.stop() }
}
