import DesiredState
import DesiredStateTesting
import Foundation
import Synchronization
import TestSupport

/// A repository on this disk.
final class FileRoad: RoadUnderTest {
  private let repository: OperatorRepository
  private let stalled = Mutex<StalledDirectory?>(nil)

  init(_ repository: OperatorRepository) { self.repository = repository }

  var address: String { "git+file://\(repository.path)" }
  var settings: BackendSettings { BackendSettings() }
  var secrets: [String] { [] }
  private var site: String { repository.folder["site"] }

  func makeUnreachable() async throws { try FileManager.default.moveItem(atPath: site, toPath: site + ".away") }
  func makeReachable() async throws { try FileManager.default.moveItem(atPath: site + ".away", toPath: site) }

  func stall() async throws {
    let directory = try StalledDirectory(repository.path)
    stalled.withLock { $0 = directory }
  }

  func waitUntilStalled() async throws { try await stalled.withLock { $0 }?.untilOpenWaits() }
  func resume() async throws { stalled.withLock { $0 = nil } }
  func bytes() async throws -> UInt64? { nil }
  func tearDown() async { stalled.withLock { $0 = nil } }
}
