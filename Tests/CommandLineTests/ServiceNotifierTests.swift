import Foundation
import Testing

@Suite("What a service manager is told", .timeLimit(.minutes(5)))
struct ServiceNotifierTests {
  let site = try! Site()

  /// A stand-in for systemd: it starts the command with a socket, prints the datagrams, and ends the command when it has heard
  /// enough.
  private static let manager = """
    import os, socket, subprocess, sys
    name = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.settimeout(120)
    listener.bind(name.replace('@', '\\0', 1) if name.startswith('@') else name)
    child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL,
      env=dict(os.environ, NOTIFY_SOCKET=name, WATCHDOG_USEC='200000'))
    heard, alive = [], 0
    while alive < 3 or not any(b'applied' in one for one in heard):
        message = listener.recv(65536)
        alive += message == b'WATCHDOG=1'
        heard.append(message)
    child.terminate()
    while b'STOPPING=1' not in heard: heard.append(listener.recv(65536))
    assert child.wait() == 0
    print('\\n'.join(one.decode() for one in heard))
    """

  @Test("It hears when the loop is ready, that it is alive, how it stands, and that it ends", arguments: [false, true])
  func tells(_ isAbstract: Bool) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let name = isAbstract ? "@desired-state-\(UUID().uuidString)" : site.root + "/notify"
    // A hook does not inherit the socket: it could speak for the agent.
    let heard = try await Tool.succeed(
      "python3",
      [
        "-c", Self.manager, name, Tool.desiredState, "follow", site.drop, "--store", site.store, "--trust", site.trust,
        "--on-apply", "env > \(site.root)/environment",
      ]
    ).split(separator: "\n")
    let ready = try #require(heard.firstIndex(of: "READY=1"))
    #expect(heard[ready...].contains { $0.hasPrefix("STATUS=applied") && $0.contains("version 1") })
    #expect(heard.count { $0 == "READY=1" } == 1 && heard.last == "STOPPING=1")
    #expect(try !site.read("environment").contains("NOTIFY_SOCKET"))
  }
}
