package import DesiredState
import DesiredStateTesting
import Foundation
import Synchronization
import TestSupport

/// A repository on this disk.
package final class GitOnDisk: TransportUnderTest {
  private let repository: OperatorRepository
  private let stalled = Mutex<StalledDirectory?>(nil)

  package init(_ repository: OperatorRepository) { self.repository = repository }

  package var address: String { "git+file://\(repository.path)" }
  package var settings: BackendSettings { BackendSettings() }
  package var secrets: [String] { [] }
  private var site: String { repository.folder["site"] }

  package func makeUnreachable() async throws { try FileManager.default.moveItem(atPath: site, toPath: site + ".away") }
  package func makeReachable() async throws { try FileManager.default.moveItem(atPath: site + ".away", toPath: site) }

  package func stall() async throws {
    let directory = try StalledDirectory(repository.path)
    stalled.withLock { $0 = directory }
  }

  package func waitUntilStalled() async throws { try await stalled.withLock { $0 }?.untilOpenWaits() }
  package func resume() async throws { stalled.withLock { $0 = nil } }
  package func bytes() async throws -> UInt64? { nil }
  package func tearDown() async { stalled.withLock { $0 = nil } }
}
