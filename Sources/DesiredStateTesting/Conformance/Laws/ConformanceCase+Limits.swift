import DesiredState
import FoundationEssentials

extension ConformanceCase {
  /// A document's piece must not be longer: a backend that hands out more at once holds it in memory at once.
  private static let longestPiece = 512 << 10
  /// What may be under way to the device beyond the limit when the backend stops: buffers of sockets and pipes.
  private static let underWay: UInt64 = 16 << 20

  /// Law 10.
  func tryLimits() async throws {
    let backend = try await makeBackend()
    // Longer than what a server or a disk hands out at once, so that it has to be read in pieces.
    let long = [UInt8](repeating: UInt8(ascii: "."), count: 1 << 20)
    var documents = ["long": long]
    for number in 0..<150 { documents["document-\(number)"] = Array("\(number)".utf8) }
    let publication = TestPublication(
      version: 1, documents: documents, signers: [Conformance.signer], withSizes: false)
    try await publish(publication)

    try await expectLimit(backend, Limits(manifestSize: 1000), "a manifest of \(publication.manifest.count) bytes")
    try await expectLimit(backend, Limits(documentCount: 10), "a state of \(documents.count) documents")
    if fixture.trust.requiresSignatures {
      try await expectLimit(backend, Limits(evidenceSize: 50), "a signature of \(publication.signatures.count) bytes")
    }
    try await expectDocumentLimit(backend, "a document of \(long.count) bytes")

    try await part("an endless manifest") {
      try await arrange("make the manifest endless") { try await $0.makeEndless(.manifest) }
      try await expectLittleTraffic("an endless manifest") {
        try await expectLimit(backend, Limits(manifestSize: 100_000), "an endless manifest")
      }
    }
    try await part("an endless document") {
      try await publish(publication)
      try await arrange("make a document endless") { try await $0.makeEndless(.document("long")) }
      try await expectLittleTraffic("an endless document") {
        try await expectDocumentLimit(backend, "an endless document")
      }
    }
  }

  private func expectLimit(_ backend: any DesiredStateBackend, _ limits: Limits, _ what: String) async throws {
    let expected = "\(what) is refused with limit-exceeded by fetch, while it is read"
    do {
      let result = try await fetch(backend, limits: limits)
      guard case .changed(let state) = result.outcome else {
        throw Violation(expected: expected, happened: "fetch answered \(result.words)")
      }
      // Verify refuses the rest: bytes that are not read from the source, or are not told apart before they are parsed.
      guard state.isSynthesised || limits.documentCount < Limits().documentCount else {
        throw Violation(expected: expected, happened: "fetch answered \(result.words)")
      }
      _ = try await verify(state, with: backend, limits: limits)
      throw Violation(expected: expected, happened: "it was fetched and verified")
    } catch let error as VerificationError {
      try expect(error.code == .limitExceeded, expected, "it was refused with \(error)")
    } catch let error as BackendError {
      throw Violation(expected: expected, happened: "a BackendError was thrown: \(error)")
    }
  }

  private func expectDocumentLimit(_ backend: any DesiredStateBackend, _ what: String) async throws {
    let limits = Limits(documentSize: 64 << 10)
    let expected =
      "\(what) is refused with limit-exceeded while it is read, in pieces of at most \(Self.longestPiece) bytes, when the limit is \(limits.documentSize)"
    do {
      let result = try await fetch(backend, limits: limits)
      guard case .changed(let state) = result.outcome else {
        throw Violation(expected: expected, happened: "fetch answered \(result.words)")
      }
      let verified = try await verify(state, with: backend, limits: limits)
      guard let document = verified.manifest.documents.first(where: { $0.id == "long" }) else {
        throw Inconclusive(reason: "\(Law.firstFetch) was broken on the way: document 'long' is not in the state")
      }
      try await quickly("reading \(what)") {
        let pieces = try await state.documents.open(document)
        var count = 0
        for try await piece in pieces {
          try expect(piece.count <= Self.longestPiece, expected, "a piece of \(piece.count) bytes came")
          count += piece.count
          // As a reader does it: see VerifiedBytes.
          if count > limits.documentSize { throw VerificationError(.limitExceeded, "read by the kit") }
        }
        throw Violation(expected: expected, happened: "it ended after \(count) bytes")
      }
    } catch let error as VerificationError {
      try expect(error.code == .limitExceeded, expected, "it was refused with \(error)")
    } catch let error as BackendError {
      throw Violation(expected: expected, happened: "a BackendError was thrown: \(error)")
    }
  }

  /// Counts the bytes that leave the source. Some fixtures count more than their own, so there is a second chance, and a
  /// third: a backend that reads too much does so each time.
  private func expectLittleTraffic(_ what: String, _ work: () async throws -> Void) async throws {
    var bytes: UInt64 = 0
    for _ in 1...3 {
      let before = try await traffic().bytes
      try await work()
      guard let before, let after = try await traffic().bytes else {
        return note("how much is read of \(what)", "the fixture's source cannot count its bytes")
      }
      bytes = after - before
      if bytes <= Self.underWay { return }
    }
    throw Violation(
      expected: "of \(what), no more than \(Self.underWay) bytes leave the source", happened: "\(bytes) bytes did")
  }
}
