import DesiredState
import FoundationEssentials

/// A state that was fetched and verified by a case.
struct Seen: Sendable {
  let fetched: FetchedState
  let verified: VerifiedState
  let marker: String?

  var revision: Revision { verified.revision }
  var documents: [DocumentReference] { verified.manifest.documents }

  func document(_ id: String) -> DocumentReference? { documents.first { $0.id == id } }
}

/// The operations of a backend, as the cases use them.
extension ConformanceCase {
  /// How long a backend may take by the request's own word.
  static let timeout: Duration = .seconds(60)

  /// Looks once, as an agent that has adopted `current`.
  func fetch(
    _ backend: any DesiredStateBackend, after current: Seen? = nil, marker: Bool = true,
    holding held: Set<Digest> = [], limits: Limits = Limits(), timeout: Duration = ConformanceCase.timeout
  ) async throws -> FetchResult {
    let request = FetchRequest(
      current: current?.revision, marker: marker ? current?.marker : nil,
      held: HeldDocuments { held.contains($0) }, limits: limits, timeout: timeout)
    return try await quickly("fetch") { try await backend.fetch(request) }
  }

  func verify(
    _ state: FetchedState, with backend: any DesiredStateBackend, limits: Limits = Limits()
  ) async throws -> VerifiedState {
    let verifier = Verifier(policy: fixture.trust, device: "conformance", now: Date(), limits: limits)
    return try await quickly("verify") { try await backend.verify(state, with: verifier) }
  }

  /// A document's bytes as the backend gives them, unchecked.
  func rawBytes(of document: DocumentReference, in state: FetchedState) async throws -> [UInt8] {
    try await quickly("reading document '\(document.id)'") {
      var bytes: [UInt8] = []
      for try await piece in try await state.documents.open(document) { bytes += piece }
      return bytes
    }
  }

  /// A document's bytes as an agent reads them, checked as they pass.
  func bytes(of document: DocumentReference, in state: VerifiedState) async throws -> [UInt8] {
    try await quickly("reading document '\(document.id)'") {
      var bytes: [UInt8] = []
      for try await piece in try await state.open(document) { bytes += piece }
      return bytes
    }
  }

  /// Whether acknowledgements are delivered here, or must be refused.
  func takesAcknowledgements(_ backend: any DesiredStateBackend) -> Bool {
    backend.capabilities.contains(.acknowledgesDocuments) && fixture.takesAcknowledgements
  }

  func acknowledge(_ acknowledgement: Acknowledgement, to backend: any DesiredStateBackend) async throws {
    try await quickly("acknowledge") { try await backend.acknowledge(acknowledgement) }
  }

  // MARK: - States

  /// The state of a result that must be changed to this publication, fetched and verified.
  ///
  /// - Throws: ``Violation`` if it is anything else.
  func expectChanged(
    _ result: FetchResult, to publication: TestPublication, from backend: any DesiredStateBackend, when: String
  ) async throws -> Seen {
    let expected = "\(when), fetch answers changed, with version \(publication.version)"
    guard case .changed(let state) = result.outcome else {
      throw Violation(expected: expected, happened: "it answered \(result.words)")
    }
    let verified: VerifiedState
    do {
      verified = try await verify(state, with: backend)
    } catch let error as VerificationError {
      throw Violation(expected: expected, happened: "verify refused the state: \(error)")
    }
    try expect(
      matches(verified, publication), expected,
      "it answered changed, with \(words(for: verified.manifest)) instead of \(words(for: publication))")
    return Seen(fetched: state, verified: verified, marker: result.marker)
  }

  /// Fetch must answer unchanged, and every document of the current state must be readable.
  ///
  /// - Throws: ``Violation`` otherwise.
  func expectUsable(_ backend: any DesiredStateBackend, after seen: Seen, when: String) async throws {
    let expected = "\(when), the backend works as before"
    do {
      let result = try await fetch(backend, after: seen)
      guard case .unchanged = result.outcome else {
        throw Violation(expected: expected, happened: "fetch with the current revision answered \(result.words)")
      }
      for document in seen.documents { _ = try await bytes(of: document, in: seen.verified) }
    } catch let error where error is BackendError || error is VerificationError || error is CancellationError {
      throw Violation(expected: expected, happened: "an operation threw \(error)")
    }
  }

  /// Whether a verified state is the published one.
  func matches(_ state: VerifiedState, _ publication: TestPublication) -> Bool {
    let documents = Dictionary(state.manifest.documents.map { ($0.id, $0.digest) }) { first, _ in first }
    guard state.manifest.version == nil || state.manifest.version == publication.version else { return false }
    return state.manifest.documents.count == publication.documents.count
      && documents == publication.documents.mapValues { Digest.of($0) }
  }

  /// Publishes a state and adopts it, on the way to another law's question.
  ///
  /// - Throws: ``Inconclusive`` if that does not work.
  func adopt(
    _ publication: TestPublication, from backend: any DesiredStateBackend, after current: Seen? = nil,
    timeout: Duration = ConformanceCase.timeout
  ) async throws -> Seen {
    try await publish(publication)
    let other: Law = current == nil ? .firstFetch : .newPublication
    do {
      return try await expectChanged(
        try await fetch(backend, after: current, timeout: timeout), to: publication, from: backend,
        when: "after version \(publication.version) was published")
    } catch let broken as Violation {
      throw Inconclusive(
        reason: "\(other) was broken on the way: expected: \(broken.expected); happened: \(broken.happened)")
    } catch let error as Inconclusive {
      throw error
    } catch let error as NotPossible {
      throw error
    } catch {
      throw Inconclusive(
        reason: "\(other) was broken on the way: fetching version \(publication.version) failed: \(error)")
    }
  }

  private func words(for manifest: StateManifest) -> String {
    let documents = manifest.documents.map(\.id).sorted().joined(separator: ", ")
    return "version \(manifest.version.map(String.init) ?? "none") of [\(documents)]"
  }

  private func words(for publication: TestPublication) -> String {
    "version \(publication.version) of [\(publication.documents.keys.sorted().joined(separator: ", "))]"
  }
}

extension FetchResult {
  /// What a fetch answered, in words.
  var words: String {
    switch outcome {
    case .unchanged: "unchanged"
    case .absent: "absent"
    case .changed(let state):
      if let manifest = try? StateManifest(parsing: state.manifest, requiresVersion: false) {
        "changed, with version \(manifest.version.map(String.init) ?? "none") and \(manifest.documents.count) documents"
      } else {
        "changed, with a manifest that cannot be read"
      }
    }
  }
}

extension TestPublication {
  /// A publication for a case, signed by the kit.
  init(_ version: UInt64, _ documents: [String: String]) {
    self.init(version: version, documents: documents.mapValues { Array($0.utf8) }, signers: [Conformance.signer])
  }
}

/// The states most cases publish one after the other.
extension TestPublication {
  static let first = TestPublication(1, ["press": "recipe: 7", "belt": "speed: 2", "oven": "celsius: 210"])
  static let second = TestPublication(2, ["press": "recipe: 8", "belt": "speed: 2", "saw": "blade: 3"])
  static let third = TestPublication(3, ["press": "recipe: 9", "saw": "blade: 3"])
}
