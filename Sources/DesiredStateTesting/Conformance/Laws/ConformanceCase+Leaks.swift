import DesiredState

extension ConformanceCase {
  private static let cycles = 100

  /// Law 16.
  func tryLeaks() async throws {
    let document = String(repeating: "setpoint: 42\n", count: 8000)
    let publication = TestPublication(1, ["press": document, "belt": "speed: 2"])
    let backend = try await makeBackend()
    let seen = try await adopt(publication, from: backend)

    // Once to warm up: an object that is made once and kept is no leak.
    try await cycle(backend, seen, failing: false)
    try await expectLevel("fetching and reading") { try await cycle(backend, seen, failing: false) }

    try await arrange("make its source unreachable") { try await $0.makeUnreachable() }
    try await cycle(backend, seen, failing: true)
    try await expectLevel("failing to fetch") { try await cycle(backend, seen, failing: true) }
    try await arrange("make its source reachable") { try await $0.makeReachable() }

    let makeAndDrop: @Sendable () async throws -> Void = {
      for _ in 0..<Self.cycles / 4 { _ = try await fetch(try await makeBackend(), after: seen) }
    }
    try await makeAndDrop()
    try await expectLevel("making backends, and dropping them", makeAndDrop)
  }

  /// Everything an agent does, many times.
  private func cycle(_ backend: any DesiredStateBackend, _ seen: Seen, failing: Bool) async throws {
    try await quickly("\(Self.cycles) fetches", within: operationTimeout * 4) {
      for number in 0..<Self.cycles {
        let current = number % 2 == 0 ? nil : seen
        let request = FetchRequest(
          current: current?.revision, marker: current?.marker, timeout: failing ? .milliseconds(20) : Self.timeout)
        do {
          guard case .changed(let state) = try await backend.fetch(request).outcome else { continue }
          for document in seen.documents {
            var isFirst = true
            for try await _ in try await state.documents.open(document) {
              // Every fifth is given up after its first piece.
              if isFirst, number % 5 == 4 { break }
              isFirst = false
            }
          }
        } catch let error as BackendError where failing {
          _ = error
        }
      }
    }
  }

  /// Does something in rounds until one of them leaves nothing behind. Something that leaks does so in every round;
  /// noise from elsewhere in the process does not.
  private func expectLevel(_ what: String, _ round: () async throws -> Void) async throws {
    var growth = ProcessResources()
    for _ in 0..<6 {
      let before = ProcessResources.now()
      try await round()
      growth = ProcessResources.now() - before
      if growth.isLevel { return }
      // Threads that have nothing to do end after a while.
      try await Task.sleep(for: .milliseconds(50))
      growth = ProcessResources.now() - before
      if growth.isLevel { return }
    }
    throw Violation(
      expected: "after \(what), files, threads and memory are level",
      happened: "in every one of 6 rounds they grew, in the last by \(growth)")
  }
}
