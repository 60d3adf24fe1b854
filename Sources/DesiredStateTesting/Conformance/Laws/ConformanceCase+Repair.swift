import DesiredState
import DesiredStateSupport

extension ConformanceCase {
  /// Law 18.
  func tryRepair() async throws {
    try await part("the missing part") { try await expectAbsenceToSayWhatIsMissing() }
    try await part("a repaired document") { try await expectHealing() }
    if gaps.count == 2 { throw NotPossible(gaps.joined(separator: "; ")) }
  }

  private func expectAbsenceToSayWhatIsMissing() async throws {
    let backend = try await makeBackend()
    try await arrange("publish nothing") { try await $0.publishNothing() }
    let result = try await fetch(backend)
    guard case .absent(let absence) = result.outcome else {
      throw Inconclusive(
        reason: "\(Law.absent) was broken on the way: with nothing published, fetch answered \(result.words)")
    }
    let expected = "absent says in words which part is missing"
    try expect(!absence.part.rawValue.isEmpty, expected, "the part has no name")
    try expect(
      absence.reason.split(separator: " ").count >= 3, expected, "it says '\(absence.reason)' of \(absence.part)")
    for secret in fixture.secrets where !secret.isEmpty {
      try expect(
        !absence.reason.contains(secret), "absent shows none of the fixture's secrets", "its reason shows one")
    }
  }

  private func expectHealing() async throws {
    let backend = try await makeBackend()
    let seen = try await adopt(.first, from: backend)
    guard !seen.fetched.isSynthesised else {
      throw NotPossible("without a manifest, a changed document is another state")
    }
    try await publish(.second)
    try await arrange("corrupt document 'press'") { try await $0.corrupt(.document("press")) }
    // Twice: a backend that remembers does so after the first time.
    for _ in 1...2 {
      let code = try await refusal(of: .second, by: backend, after: seen)
      try expect(
        code == .digestMismatch, "a changed byte in document 'press' is refused with digest-mismatch",
        code.map { "it was refused with \($0)" } ?? "it was read without an error")
    }
    try await arrange("repair document 'press' in place") { try await $0.repair(.document("press")) }
    let clock = ContinuousClock()
    let end = clock.now + fixture.repairDelay
    while let code = try await refusal(of: .second, by: backend, after: seen) {
      try expect(
        clock.now < end,
        "document 'press' is read within \(fixture.repairDelay) after it was repaired at the source, though its validators are the same",
        "it was refused with \(code)")
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// With which code reading the documents of a publication is refused; nil if all are there.
  private func refusal(
    of publication: TestPublication, by backend: any DesiredStateBackend, after seen: Seen
  ) async throws -> VerificationError.Code? {
    do {
      let result = try await fetch(backend, after: seen)
      let next = try await expectChanged(
        result, to: publication, from: backend, when: "after version \(publication.version) was published")
      for document in next.documents { _ = try await bytes(of: document, in: next.verified) }
      return nil
    } catch let error as VerificationError {
      return error.code
    }
  }
}
