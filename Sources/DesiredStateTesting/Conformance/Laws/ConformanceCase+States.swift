import DesiredState

// Laws 1 to 5: which of its answers a fetch gives.
extension ConformanceCase {
  /// Law 1.
  func tryFirstFetch() async throws {
    // The version is one that a floating-point number cannot hold (2^53 + 1): it must come through unrounded.
    let publication = TestPublication(
      (1 << 53) + 1, ["press": "recipe: 7", "belt": "speed: 2", "oven": "celsius: 210"])
    try await publish(publication)
    let backend = try await makeBackend()
    for poll in ["at the first poll", "at the second poll, still with no current revision"] {
      _ = try await expectChanged(
        try await fetch(backend), to: publication, from: backend,
        when: "with no current revision and a published state, \(poll)")
    }
  }

  /// Law 2.
  func tryUnchanged() async throws {
    let backend = try await makeBackend()
    let seen = try await adopt(.first, from: backend)
    let held = Set(seen.documents.map(\.digest))
    let before = try await traffic()
    for poll in 1...3 {
      let result = try await fetch(backend, after: seen, holding: held)
      guard case .unchanged = result.outcome else {
        throw Violation(
          expected: "with the current revision, fetch answers unchanged",
          happened: "at poll \(poll) it answered \(result.words)")
      }
    }
    let after = try await traffic()
    if let documents = before.documentReads, let reads = after.documentReads {
      try expect(
        reads == documents, "no document is read to say unchanged",
        "\(reads.values.reduce(0, +) - documents.values.reduce(0, +)) documents were read in 3 polls")
    } else {
      note("that no document is read", "the fixture's source cannot tell which documents are read")
    }
    if let manifests = before.manifestReads, let reads = after.manifestReads {
      try expect(
        reads == manifests, "the manifest is not read to say unchanged",
        "it was read \(reads - manifests) times in 3 polls")
    }
    let result = try await fetch(backend, after: seen, marker: false, holding: held)
    guard case .unchanged = result.outcome else {
      throw Violation(
        expected: "with the current revision and no marker (another source brought it), fetch answers unchanged",
        happened: "it answered \(result.words)")
    }
  }

  /// Law 3.
  func tryNewPublication() async throws {
    let backend = try await makeBackend()
    let first = try await adopt(.first, from: backend)
    try await publish(.second)
    let second = try await expectChanged(
      try await fetch(backend, after: first), to: .second, from: backend, when: "after version 2 was published")
    try await publish(.third)
    let third = try await expectChanged(
      try await fetch(backend, after: second), to: .third, from: backend, when: "after version 3 was published")
    for (current, words) in [(nil, "no revision"), (first, "version 1"), (second, "version 2")] {
      _ = try await expectChanged(
        try await fetch(backend, after: current), to: .third, from: backend,
        when: "after version 3 was seen, asked with \(words)")
    }
    let result = try await fetch(backend, after: third)
    guard case .unchanged = result.outcome else {
      throw Violation(
        expected: "after version 3 was adopted, fetch answers unchanged", happened: "it answered \(result.words)")
    }
  }

  /// Law 4.
  func tryAbsent() async throws {
    let backend = try await makeBackend()
    // Nothing is published yet; a source that cannot be reached without publishing something says so here.
    try await arrange("publish nothing") { try await $0.publishNothing() }
    try await expectAbsent(backend, after: nil, when: "before anything is published")
    let seen = try await adopt(.first, from: backend)
    try await arrange("publish nothing") { try await $0.publishNothing() }
    try await expectAbsent(backend, after: seen, when: "after the state was withdrawn, with a current revision")
    try await expectAbsent(backend, after: nil, when: "after the state was withdrawn, with no current revision")
  }

  private func expectAbsent(_ backend: any DesiredStateBackend, after current: Seen?, when: String) async throws {
    let expected = "\(when), fetch answers absent"
    let result: FetchResult
    do {
      result = try await fetch(backend, after: current)
    } catch let error where error is BackendError || error is VerificationError {
      throw Violation(expected: expected, happened: "it threw \(error)")
    }
    guard case .absent = result.outcome else {
      throw Violation(expected: expected, happened: "it answered \(result.words)")
    }
  }

  /// Law 5.
  func tryEmptyState() async throws {
    let backend = try await makeBackend()
    let seen = try await adopt(.first, from: backend)
    let empty = TestPublication(2, [:])
    try await publish(empty)
    _ = try await expectChanged(
      try await fetch(backend, after: seen), to: empty, from: backend,
      when: "after an explicitly empty state was published")
    _ = try await expectChanged(
      try await fetch(backend), to: empty, from: backend,
      when: "with an explicitly empty state published and no current revision")
  }
}
