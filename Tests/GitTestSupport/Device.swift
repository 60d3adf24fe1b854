package import DesiredState
import Foundation
import TestSupport
package import Testing

@testable package import GitBackend

/// What a device knows of one repository: its adopted state and marker, and the policy.
package final class Device {
  package let backend: GitBackend
  package let policy: TrustPolicy
  package private(set) var revision: Revision?
  package private(set) var marker: String?
  /// What another device gave as its marker, when the state came from there.
  package var adoptedMarker: String?

  package init(
    _ repository: OperatorRepository, _ query: String = "ref=main", over road: (any TransportUnderTest)? = nil,
    policy: TrustPolicy? = nil, cache: String? = nil
  ) throws {
    let road = road ?? GitOnDisk(repository)
    backend = try GitBackend(
      try SourceAddress("\(road.address)?\(query)"),
      context: BackendContext(device: "press-42", settings: road.settings, cacheDirectory: cache))
    self.policy = try policy ?? repository.keys.policy()
  }

  package init(_ backend: GitBackend, policy: TrustPolicy) {
    self.backend = backend
    self.policy = policy
  }

  package func fetch(limits: Limits = Limits(), timeout: Duration = .seconds(30)) async throws -> FetchResult {
    try await backend.fetch(
      FetchRequest(
        current: revision, marker: marker, adoptedMarker: adoptedMarker, limits: limits, timeout: timeout,
        verifier: Verifier(policy: policy, device: "press-42", now: Date())))
  }

  /// Polls once and adopts the state.
  ///
  /// - Returns: the documents by id; nil if nothing changed.
  @discardableResult
  package func look(limits: Limits = Limits(), timeout: Duration = .seconds(30)) async throws -> [String: String]? {
    let result = try await fetch(limits: limits, timeout: timeout)
    switch result.outcome {
    case .absent: return [:]
    case .unchanged:
      marker = result.marker
      return nil
    case .changed(let state):
      let verified = try await backend.verify(state, with: Verifier(policy: policy, device: "press-42", now: Date()))
      var documents: [String: String] = [:]
      for document in verified.manifest.documents {
        documents[document.id] = String(decoding: try await collect(verified.open(document)), as: UTF8.self)
      }
      revision = verified.revision
      marker = result.marker
      return documents
    }
  }

  /// The code with which a poll is refused.
  package func refusal(limits: Limits = Limits(), at location: SourceLocation = #_sourceLocation) async throws
    -> VerificationError
  {
    try await thrown(VerificationError.self, at: location) { try await look(limits: limits) }
  }
}
