import DesiredState
import Synchronization

@testable import DesiredStateTesting

// Mistakes in what a fetch answers: laws 1 to 6, 13 and 14.
extension Mutation {
  static func watching(_ mock: MockBackend) -> Mutation {
    let before = mock.publication?.revision
    return Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      guard case .changed(let state) = result.outcome, state.revision == before, request.current == nil else {
        return result
      }
      return .absent(.manifest, "nothing is published")
    })
  }

  static func readingToSayUnchanged(_ mock: MockBackend) -> Mutation {
    Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      guard case .unchanged = result.outcome, let publication = mock.publication else { return result }
      let reader = MockDocuments(remote: mock.remote, timeout: request.timeout)
      for document in try StateManifest(parsing: publication.manifest).documents { _ = try await reader.open(document) }
      return result
    })
  }

  static func needingItsMarker() -> Mutation {
    Mutation(fetch: { request, base in
      var request = request
      if request.marker == nil { request.current = nil }
      return try await base.fetch(request)
    })
  }

  static func replayingHistory() -> Mutation {
    let past = Shared<[FetchedState]>([])
    return Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      guard case .changed(let state) = result.outcome else { return result }
      return past.value.withLock { past in
        if !past.contains(where: { $0.revision == state.revision }) { past.append(state) }
        guard let current = past.firstIndex(where: { $0.revision == request.current }),
          past[current + 1].revision != state.revision
        else { return result }
        return FetchResult(.changed(past[current + 1]), marker: result.marker)
      }
    })
  }

  static func emptyForAbsent() -> Mutation {
    Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      guard case .absent = result.outcome else { return result }
      return .changed(FetchedState(synthesisedFrom: [], documents: NoDocuments()))
    })
  }

  static func unchangedForAbsent() -> Mutation {
    Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      if case .absent = result.outcome, request.current != nil { return .unchanged }
      return result
    })
  }

  static func absentForEmpty() -> Mutation {
    Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      if case .changed(let state) = result.outcome,
        let manifest = try? StateManifest(parsing: state.manifest), manifest.documents.isEmpty
      {
        return .absent(.manifest, "nothing is published")
      }
      return result
    })
  }

  /// Swallows the error of a source that cannot be reached, if there is something to answer in its place.
  static func answering(_ answer: @escaping @Sendable (FetchRequest) -> FetchResult?) -> Mutation {
    Mutation(fetch: { request, base in
      do {
        return try await base.fetch(request)
      } catch let error as BackendError where error.code == .unreachable {
        guard let result = answer(request) else { throw error }
        return result
      }
    })
  }

  static func throwingItsOwnErrors() -> Mutation {
    Mutation(fetch: { request, base in
      do {
        return try await base.fetch(request)
      } catch let error as BackendError where error.code == .timeout {
        throw TransportFailure(detail: error.message)
      }
    })
  }

  static func outwaitingItsDeadline() -> Mutation {
    Mutation(fetch: { request, base in
      var request = request
      request.timeout = .seconds(3600)
      return try await base.fetch(request)
    })
  }

  static func servingOneCaller() -> Mutation {
    let callers = Shared(0)
    return Mutation(fetch: { request, base in
      let isAlone = callers.value.withLock { callers in
        callers += 1
        return callers == 1
      }
      defer { callers.value.withLock { $0 -= 1 } }
      guard isAlone else { throw BackendError(.busy, "another caller is being served; try again later") }
      try await Task.sleep(for: .milliseconds(2))
      return try await base.fetch(request)
    })
  }

  static func forgettingAtRestart() -> Mutation {
    let issued = Shared<Set<String>>([])
    return Mutation(fetch: { request, base in
      var request = request
      if let marker = request.marker, !issued.value.withLock({ $0.contains(marker) }) { request.current = nil }
      let result = try await base.fetch(request)
      if let marker = result.marker { issued.value.withLock { _ = $0.insert(marker) } }
      return result
    })
  }

  static func renamingItsSource() -> Mutation {
    let name = instances.withLock { instances in
      instances += 1
      return instances
    }
    return Mutation(source: { "\($0)#\(name)" })
  }

  private static let instances = Mutex(0)
}

/// A value that the closures of one mutation share.
final class Shared<Value: ~Copyable & Sendable>: Sendable {
  let value: Mutex<Value>
  init(_ value: consuming sending Value) { self.value = Mutex(value) }
}

/// A reader of a state without documents.
private struct NoDocuments: DocumentReader {
  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    throw VerificationError(.documentMissing, "there is no document")
  }
}
