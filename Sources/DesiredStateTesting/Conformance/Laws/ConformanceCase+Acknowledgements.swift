import DesiredState
import FoundationEssentials

extension ConformanceCase {
  /// Law 12.
  func tryAcknowledgement() async throws {
    let backend = try await makeBackend()
    let seen = try await adopt(.first, from: backend)
    guard takesAcknowledgements(backend) else {
      let expected = "a backend or a source that takes no acknowledgements throws when it is given one"
      do {
        try await acknowledge(.installed("press", by: seen, id: "1"), to: backend)
      } catch is BackendError {
        return
      }
      throw Violation(expected: expected, happened: "it returned as if it had delivered it")
    }

    let adopted = Acknowledgement(
      id: "adopted", device: "conformance", revision: seen.revision,
      adoptedManifestVersion: seen.verified.manifest.version, time: Date(), outcome: .adopted)
    var delivered: [Acknowledgement] = []
    if backend.capabilities.contains(.acknowledgesStates) {
      delivered.append(adopted)
    } else {
      let expected = "a backend that takes no acknowledgements of states throws when it is given one"
      do {
        try await acknowledge(adopted, to: backend)
        throw Violation(expected: expected, happened: "it returned as if it had delivered it")
      } catch is BackendError {
        // As it should: the acknowledgement waits for a source that takes it.
      }
    }
    for (index, state) in [DocumentStatus.State.pending, .installing, .installed].enumerated() {
      for document in ["press", "belt"] {
        delivered.append(.document(document, state, by: seen, id: "\(document)-\(index)"))
      }
    }
    for acknowledgement in delivered {
      // Each twice: the answer to the first may have been lost.
      for _ in 1...2 { try await acknowledge(acknowledgement, to: backend) }
    }
    try await part("what the source makes of them") {
      try await expectReceived(delivered)
    }

    let late = Acknowledgement.document("press", .removing, by: seen, id: "late")
    try await arrange("make its source unreachable") { try await $0.makeUnreachable() }
    let expected = "an acknowledgement throws a BackendError while the source cannot be reached"
    do {
      try await acknowledge(late, to: backend)
      throw Violation(expected: expected, happened: "it returned as if it had delivered it")
    } catch is BackendError {
      // As it should.
    } catch let broken as Violation {
      throw broken
    } catch {
      throw Violation(expected: expected, happened: "it threw \(type(of: error)): \(error)")
    }
    try await arrange("make its source reachable") { try await $0.makeReachable() }
    try await acknowledge(late, to: backend)
    if gaps.isEmpty { try await expectReceived(delivered + [late]) }
  }

  private func expectReceived(_ delivered: [Acknowledgement]) async throws {
    let received = try await arrange("read the acknowledgements back") { try await $0.receivedAcknowledgements() }
    for subject in Set(delivered.map(\.subject)) {
      let expected = delivered.map(ReceivedAcknowledgement.init).filter { $0.subject == subject }.map(\.state)
      let found = received.filter { $0.subject == subject }.map(\.state)
      // All of them in order, or the newest where the source keeps no more.
      try expect(
        found == expected || found == [expected[expected.count - 1]],
        "the source has \(Self.words(subject)) [\(expected.joined(separator: ", "))] in this order, each once, or only the last",
        "it has [\(found.joined(separator: ", "))]")
    }
  }

  private static func words(_ subject: Acknowledgement.Subject) -> String {
    switch subject {
    case .state: "of the state"
    case .document(let id): "of document '\(id)'"
    }
  }
}

extension Acknowledgement {
  /// An acknowledgement about a document of a state.
  static func document(_ id: String, _ state: DocumentStatus.State, by seen: Seen, id key: String) -> Acknowledgement {
    Acknowledgement(
      id: key, device: "conformance", revision: seen.revision,
      adoptedManifestVersion: seen.verified.manifest.version, time: Date(),
      outcome: .document(DocumentStatus(documentID: id, state: state)))
  }
}
