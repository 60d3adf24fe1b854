import Foundation

/// Waits until a condition holds that nothing signals, by asking again and again: the one place where tests sleep.
///
/// - Throws: ``ChildProcess/Failure`` if it does not hold within the limit; what the condition throws.
package func until(
  _ condition: String, within limit: Duration = .seconds(30), _ holds: () async throws -> Bool
) async throws {
  let end = ContinuousClock.now + limit
  while try await !holds() {
    guard ContinuousClock.now < end else { throw ChildProcess.Failure(description: "\(condition): not within \(limit)") }
    try await Task.sleep(for: .milliseconds(2))
  }
}

/// Returns when a client waits for the server that listens at a port of this machine, and is stopped; at the latest after
/// a tenth of a second, because the client may have no need to ask.
///
/// Bytes or connections that were not taken yet stand in the kernel's tables: see proc_pid_net(5).
package func untilClientWaits(atPort port: Int) async throws {
  let suffix = ":" + String(format: "%04X", port)
  try? await until("a client waits at \(port)", within: .milliseconds(100)) {
    ["/proc/net/tcp", "/proc/net/tcp6"].contains { table in
      guard let rows = try? String(contentsOfFile: table, encoding: .utf8) else { return false }
      return rows.split(separator: "\n").dropFirst().contains { row in
        let fields = row.split(separator: " ")
        return fields.count > 4 && fields[1].hasSuffix(suffix) && !fields[4].hasSuffix(":00000000")
      }
    }
  }
  try Task.checkCancellation()
}
