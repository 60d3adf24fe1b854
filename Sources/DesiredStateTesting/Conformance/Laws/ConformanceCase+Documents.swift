import DesiredState

// Laws 7, 8 and 11: the bytes that come with a state.
extension ConformanceCase {
  /// Law 7.
  func tryDocumentBytes() async throws {
    var generator = SeededGenerator(seed: 7)
    let documents: [String: [UInt8]] = [
      "nothing": [],
      "line-ends": Array("\u{FEFF}one\r\ntwo\nthree\rfour\u{0}\n\n".utf8),
      "every-byte": Array(0...255),
      "long": generator.bytes(count: (1 << 20) + 3),
    ]
    let publication = TestPublication(version: 1, documents: documents, signers: [Conformance.signer])
    let backend = try await makeBackend()
    let seen = try await adopt(publication, from: backend)
    for document in seen.documents { try await expectExact(document, documents[document.id], in: seen) }

    var changed = documents
    changed["line-ends"] = Array("five\r\n".utf8)
    let next = TestPublication(version: 2, documents: changed, signers: [Conformance.signer])
    try await publish(next)
    let held = Set(seen.documents.map(\.digest))
    let before = try await traffic()
    let result = try await fetch(backend, after: seen, holding: held)
    let second = try await expectChanged(result, to: next, from: backend, when: "after one document was changed")
    for document in second.documents where !held.contains(document.digest) {
      try await expectExact(document, changed[document.id], in: second)
    }
    guard let earlier = before.documentReads, let reads = try await traffic().documentReads else {
      return note("that a held digest is not read again", "the fixture's source cannot tell which documents are read")
    }
    for document in second.documents where held.contains(document.digest) {
      try expect(
        reads[document.digest] == earlier[document.digest],
        "document '\(document.id)', whose digest the device holds, is not read when another one changes",
        "it was read \(reads[document.digest, default: 0] - earlier[document.digest, default: 0]) times")
    }
  }

  private func expectExact(_ document: DocumentReference, _ published: [UInt8]?, in seen: Seen) async throws {
    let expected = "document '\(document.id)' has the \(published?.count ?? 0) bytes that were published"
    let bytes = try await rawBytes(of: document, in: seen.fetched)
    guard bytes != published else { return }
    let first = zip(bytes, published ?? []).enumerated().first { $1.0 != $1.1 }?.offset
    throw Violation(
      expected: expected,
      happened: "\(bytes.count) bytes came, different from byte \(first ?? min(bytes.count, published?.count ?? 0)) on")
  }

  /// Law 8.
  func tryTornPublication() async throws {
    var kinds = [("a manifest before its documents", TestPublication.Part.document("press"))]
    if fixture.trust.requiresSignatures { kinds.append(("a manifest before its signature", .signatures)) }
    for (index, (name, missing)) in kinds.enumerated() {
      try await part(name) { try await publishPartially(leavingOut: missing, versions: UInt64(1 + 3 * index)) }
    }
    if gaps.count == kinds.count { throw NotPossible(gaps.joined(separator: "; ")) }
  }

  private func publishPartially(leavingOut part: TestPublication.Part, versions first: UInt64) async throws {
    let backend = try await makeBackend()
    var current = try await adopt(
      TestPublication(first, ["press": "recipe: \(first)", "belt": "speed: 2"]), from: backend)
    // Twice: a backend may treat the first state it sees otherwise than a later one.
    for version in [first + 1, first + 2] {
      let publication = TestPublication(version, ["press": "recipe: \(version)", "belt": "speed: 2"])
      try await arrange("publish in part") { try await $0.publishPartially(publication, leavingOut: part) }
      for _ in 1...2 { try await expectNoMixture(backend, after: current, part: part) }
      try await publish(publication)
      let seen = try await expectChanged(
        try await fetch(backend, after: current), to: publication, from: backend,
        when: "when \(part), which was missing, has come")
      for document in seen.documents {
        do {
          let bytes = try await bytes(of: document, in: seen.verified)
          try expect(
            bytes == publication.documents[document.id], "when \(part) has come, document '\(document.id)' can be read",
            "\(bytes.count) other bytes came")
        } catch let error as VerificationError {
          throw Violation(
            expected: "when \(part) has come, document '\(document.id)' can be read", happened: "reading threw \(error)"
          )
        }
      }
      current = seen
    }
  }

  private func expectNoMixture(
    _ backend: any DesiredStateBackend, after current: Seen, part: TestPublication.Part
  ) async throws {
    let when = "while \(part) of a new publication is missing"
    let expected = "\(when), the old state, or a refusal that names the missing part"
    do {
      let result = try await fetch(backend, after: current)
      guard case .changed(let state) = result.outcome else {
        if case .absent = result.outcome { throw Violation(expected: expected, happened: "fetch answered absent") }
        return
      }
      let verified = try await verify(state, with: backend)
      for document in verified.manifest.documents {
        do {
          let bytes = try await rawBytes(of: document, in: state)
          try expect(
            Digest.of(bytes) == document.digest, expected,
            "a mixture: the manifest is the new one, and document '\(document.id)' came with \(bytes.count) bytes that are not its own"
          )
        } catch let error as VerificationError where document.id == "press" && error.code == .documentMissing {
          continue
        }
      }
    } catch let error as VerificationError {
      try expect(error.isTransient, expected, "it was refused for good: \(error)")
    } catch is BackendError {
      // The old state stays.
    }
  }

  /// Law 11.
  func tryTampering() async throws {
    let backend = try await makeBackend()
    try await part("a changed manifest") {
      try await publish(.first)
      try await expectRefusal(of: .manifest, by: backend)
    }
    if fixture.trust.requiresSignatures {
      try await part("a changed signature") {
        try await publish(.second)
        try await expectRefusal(of: .signatures, by: backend)
      }
    }
    try await part("a changed document") {
      let seen = try await adopt(.third, from: backend)
      try await arrange("corrupt document 'press'") { try await $0.corrupt(.document("press")) }
      // First the state that was verified before its document changed, then one fetched after.
      try await expectRefusal(ofDocumentIn: seen)
      guard !seen.fetched.isSynthesised else { return }
      try await expectRefusal(of: .document("press"), by: backend, isCorrupted: true)
    }
  }

  private func expectRefusal(
    of part: TestPublication.Part, by backend: any DesiredStateBackend, isCorrupted: Bool = false
  ) async throws {
    if !isCorrupted { try await arrange("corrupt \(part)") { try await $0.corrupt(part) } }
    let codes = fixture.refusals(ofCorrupted: part)
    let expected =
      "a changed byte in \(part) is refused with \(codes.map(\.rawValue).sorted().joined(separator: " or "))"
    do {
      let result = try await fetch(backend)
      guard case .changed(let state) = result.outcome else {
        throw Violation(expected: expected, happened: "fetch answered \(result.words)")
      }
      let verified = try await verify(state, with: backend)
      for document in verified.manifest.documents { _ = try await bytes(of: document, in: verified) }
      throw Violation(expected: expected, happened: "the state was verified, and every document read")
    } catch let error as VerificationError {
      try expect(codes.contains(error.code), expected, "it was refused with \(error)")
    } catch let error as BackendError {
      throw Violation(expected: expected, happened: "a BackendError was thrown: \(error)")
    }
  }

  private func expectRefusal(ofDocumentIn seen: Seen) async throws {
    let codes = fixture.refusals(ofCorrupted: .document("press")).union([.documentMissing])
    let expected = "a changed byte in document 'press' is refused with digest-mismatch when it is read"
    guard let document = seen.document("press") else { return }
    do {
      // It may have been read before it was changed; then these are the right bytes.
      _ = try await bytes(of: document, in: seen.verified)
    } catch let error as VerificationError {
      try expect(codes.contains(error.code), expected, "it was refused with \(error)")
    } catch let error as BackendError {
      throw Violation(expected: expected, happened: "a BackendError was thrown: \(error)")
    }
  }
}
