import DesiredState

extension ConformanceCase {
  /// How soon cancelled work must have ended. Generous: machines are loaded.
  private static let promptly: Duration = .seconds(4)

  /// Law 9.
  func tryCancellation() async throws {
    let backend = try await makeBackend()
    let seen = try await adopt(.first, from: backend)
    let operations = operations(of: backend, seen: seen)

    for operation in operations {
      try await expectEnd(of: operation, when: "cancelled before it began") { $0.cancel() }
    }
    try await expectUsable(backend, after: seen, when: "after cancelling operations that had not begun")

    for round in 0..<10 {
      for operation in operations {
        try await expectEnd(of: operation, when: "cancelled while it ran") { running in
          // Some time within the operation, another one each round; there is nothing to wait for.
          for _ in 0..<round { await Task.yield() }
          running.cancel()
        }
      }
    }
    try await expectUsable(backend, after: seen, when: "after cancelling operations that ran")

    try await part("operations that wait for the source") {
      for operation in operations {
        try await arrange("stall its source") { try await $0.stall() }
        try await expectEnd(of: operation, when: "cancelled while it waited for the source") { running in
          try await arrange("wait until it is stalled") { try await $0.waitUntilStalled() }
          running.cancel()
        }
        try await arrange("resume its source") { try await $0.resume() }
        try await expectUsable(
          backend, after: seen, when: "after cancelling \(operation.name) while it waited for the source")
      }
    }
  }

  private struct CancellableOperation: Sendable {
    let name: String
    let work: @Sendable () async throws -> Void
  }

  private func operations(of backend: any DesiredStateBackend, seen: Seen) -> [CancellableOperation] {
    let documents = seen.documents
    var operations = [
      CancellableOperation(name: "fetch") { _ = try await backend.fetch(FetchRequest(timeout: Self.timeout)) },
      CancellableOperation(name: "reading a document") {
        // Every document: one of them may be at hand already.
        for document in documents { for try await _ in try await seen.fetched.documents.open(document) {} }
      },
    ]
    if takesAcknowledgements(backend) {
      operations.append(
        CancellableOperation(name: "acknowledge") {
          try await backend.acknowledge(.installed("press", by: seen, id: "cancelled"))
        })
    }
    return operations
  }

  private func expectEnd(
    of operation: CancellableOperation, when: String,
    cancelling cancel: (Limited.Operation<Void>) async throws -> Void
  ) async throws {
    let expected = "\(operation.name), \(when), ends within \(Self.promptly) and throws CancellationError if it throws"
    let running = Limited.Operation(operation.work)
    try await cancel(running)
    do {
      try await running.value(within: Self.promptly)
    } catch is CancellationError {
      // As it should.
    } catch is Limited.Exceeded {
      throw Violation(expected: expected, happened: "it was still running then")
    } catch {
      throw Violation(expected: expected, happened: "it threw \(type(of: error)): \(error)")
    }
  }
}

extension Acknowledgement {
  /// The acknowledgement that a document of a state is in place.
  static func installed(_ document: String, by seen: Seen, id: String) -> Acknowledgement {
    .document(document, .installed, by: seen, id: id)
  }
}
