import DesiredState

extension ConformanceCase {
  private static let callers = 32
  private static let rounds = 3

  /// Law 13.
  func tryConcurrency() async throws {
    let backend = try await makeBackend()
    let first = try await adopt(.first, from: backend)
    try await together { caller in
      for round in 0..<Self.rounds {
        switch (caller + round) % 4 {
        case 0: try await expectFirst(try await fetch(backend), from: backend, caller: caller)
        case 1:
          let result = try await fetch(backend, after: first)
          guard case .unchanged = result.outcome else {
            throw Violation(
              expected: "among \(Self.callers) concurrent callers, one with the current revision is answered unchanged",
              happened: "it was answered \(result.words)")
          }
        case 2: try await expectDocuments(of: first, .first, beginningAt: caller)
        default:
          guard takesAcknowledgements(backend) else { continue }
          try await acknowledge(.document("belt", .installed, by: first, id: "\(caller)-\(round)"), to: backend)
        }
      }
    }

    // While it is published, a caller sees one state or the other.
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await publish(.second)
        try await publish(.third)
      }
      group.addTask {
        try await together { _ in
          for _ in 0..<Self.rounds { try await expectOnePublication(backend) }
        }
      }
      try await group.waitForAll()
    }
    _ = try await expectChanged(
      try await fetch(backend), to: .third, from: backend, when: "after all concurrent callers are done")
  }

  /// Runs the callers at the same time, and tells of the first that found something wrong.
  private func together(_ caller: @escaping @Sendable (Int) async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<Self.callers { group.addTask { try await caller(number) } }
      do {
        try await group.waitForAll()
      } catch let error where error is BackendError || error is VerificationError {
        throw Violation(
          expected: "each of \(Self.callers) concurrent callers is served as if it were alone",
          happened: "one was thrown \(error)")
      }
    }
  }

  private func expectFirst(_ result: FetchResult, from backend: any DesiredStateBackend, caller: Int) async throws {
    let seen = try await expectChanged(
      result, to: .first, from: backend, when: "among \(Self.callers) concurrent callers, with no current revision")
    try await expectDocuments(of: seen, .first, beginningAt: caller)
  }

  /// Each caller begins with another document, so that they do not all read the same at the same time.
  private func expectDocuments(of seen: Seen, _ publication: TestPublication, beginningAt caller: Int) async throws {
    let count = seen.documents.count
    for document in (0..<count).map({ seen.documents[($0 + caller / 4) % count] }) {
      let bytes = try await rawBytes(of: document, in: seen.fetched)
      try expect(
        bytes == publication.documents[document.id],
        "each of \(Self.callers) concurrent readers gets the bytes of the document it asked for",
        "a reader of document '\(document.id)' got \(bytes.count) bytes that are not its own")
    }
  }

  private func expectOnePublication(_ backend: any DesiredStateBackend) async throws {
    let published = [TestPublication.first, .second, .third]
    do {
      let result = try await fetch(backend)
      guard case .changed(let state) = result.outcome else {
        throw Violation(
          expected: "while a new state is published, fetch answers changed, with the one before or the new one",
          happened: "it answered \(result.words)")
      }
      let verified = try await verify(state, with: backend)
      // A source without a manifest may be seen half-way; there is nothing to hold it against.
      guard !state.isSynthesised else { return }
      try expect(
        published.contains { matches(verified, $0) },
        "while a new state is published, fetch answers with the one before or the new one",
        "it answered \(result.words), which is neither")
    } catch let error as VerificationError where error.isTransient {
      // Looked at between two steps of the publication: the next poll sees it whole.
    }
  }
}
