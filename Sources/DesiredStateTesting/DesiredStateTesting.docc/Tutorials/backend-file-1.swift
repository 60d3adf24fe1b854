import DesiredState
import Dispatch
import Foundation

/// The folder in which the cloud's client keeps the twin.
struct TwinFolder: Sendable {
  var path: String

  /// The parts of the drop in `desired.json`, by their paths; nil if the cloud wants nothing of this device.
  func parts() async throws -> [String: Data]? {
    try await blocking {
      guard FileManager.default.fileExists(atPath: path) else {
        throw BackendError(.unreachable, "\(path) is not there; is the cloud's client installed?")
      }
      guard let bytes = FileManager.default.contents(atPath: path + "/desired.json") else { return nil }
      do {
        return try JSONDecoder().decode([String: Data].self, from: bytes)
      } catch {
        throw BackendError(.protocolViolation, "\(path)/desired.json is no twin", underlying: error)
      }
    }
  }

  /// Calls that wait for a disk belong on a thread of their own: law 9.
  private func blocking<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(with: Result(catching: work)) }
    }
  }
}
