import DesiredState
import DesiredStateTesting
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// That a commit's signature and history count through any decorator as they do without one.
@Suite(.timeLimit(.minutes(2))) struct DecorationTests {
  /// The wrapping of a backend.
  enum Wrapping: CaseIterable, Sendable {
    case nothing, passThrough, flaky, both

    func wrap(_ backend: GitBackend) -> any DesiredStateBackend {
      switch self {
      case .nothing: backend
      case .passThrough: PassThroughBackend(backend)
      case .flaky: FlakyBackend(backend, failing: 0, seed: 1)
      case .both: FlakyBackend(PassThroughBackend(backend), failing: 0, seed: 1)
      }
    }
  }

  @Test(
    "A signed tree is adopted through every decorator, with its signer and its commit", arguments: Wrapping.allCases)
  func signedTree(wrapping: Wrapping) async throws {
    let repository = try await OperatorRepository()
    let commit = try await repository.commit(["press": "1"])
    let backend = try wrapping.wrap(gitBackend(of: repository))
    let result = try await backend.fetch(FetchRequest())
    let verified = try await backend.verify(
      try #require(result.state),
      with: Verifier(policy: try repository.keys.policy(), device: "press-42", now: Date()))
    #expect(verified.signers.count == 1)
    #expect(verified.origin.commit == commit)
    #expect(verified.origin.subject?.isEmpty == false)
  }

  @Test(
    "A rewritten branch is refused through every decorator, also where nothing need be signed",
    arguments: Wrapping.allCases)
  func rewrittenBranch(wrapping: Wrapping) async throws {
    let repository = try await OperatorRepository()
    let backend = try wrapping.wrap(gitBackend(of: repository))
    for policy in [TrustPolicy.unsigned, try repository.keys.policy()] {
      try await repository.commit(["press": "0"])
      try await repository.commit(["press": "\(policy)"])
      let first = try await backend.fetch(FetchRequest())
      let adopted = try await backend.verify(
        try #require(first.state), with: Verifier(policy: policy, device: "press-42", now: Date()))
      try await repository.commit(["press": "other"], amend: true)
      let error = try await thrown(VerificationError.self) {
        let next = try await backend.fetch(FetchRequest(current: adopted.revision, marker: first.marker))
        _ = try await backend.verify(
          try #require(next.state),
          with: Verifier(policy: policy, device: "press-42", requiresSuccessor: true, now: Date()))
      }
      #expect(error.code == .historyRewritten)
    }
  }

  @Test("A decorator that loses the evidence makes a state that is refused")
  func lostEvidence() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let state = try #require(try await gitBackend(of: repository).fetch(FetchRequest()).state)
    let manifest = try StateManifest(parsing: state.manifest, requiresVersion: false)
    let bare = FetchedState(synthesisedFrom: manifest.documents, documents: state.documents)
    #expect(bare.revision == state.revision)
    func refusal(_ policy: TrustPolicy, requiresSuccessor: Bool) async throws -> VerificationError.Code {
      try await thrown(VerificationError.self) {
        _ = try Verifier(policy: policy, device: "press-42", requiresSuccessor: requiresSuccessor, now: Date())
          .admit(bare)
      }.code
    }
    #expect(try await refusal(repository.keys.policy(), requiresSuccessor: false) == .signatureMissing)
    #expect(try await refusal(.unsigned, requiresSuccessor: true) == .historyRewritten)
  }

  private func gitBackend(of repository: OperatorRepository) throws -> GitBackend {
    let road = GitOnDisk(repository)
    return try GitBackend(
      try SourceAddress("\(road.address)?ref=main"),
      context: BackendContext(device: "press-42", settings: road.settings, cacheDirectory: nil))
  }
}
