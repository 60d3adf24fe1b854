import DesiredState

extension ConformanceCase {
  /// Law 19.
  func tryResuming() async throws {
    var generator = SeededGenerator(seed: 19)
    // Long enough for many pieces, and without line ends: law 7 is about those.
    let bytes = generator.bytes(count: (1 << 19) + 5).map { $0 == UInt8(ascii: "\r") ? 0 : $0 }
    let publication = TestPublication(version: 1, documents: ["press": bytes], signers: [Conformance.signer])
    let backend = try await makeBackend()
    let seen = try await adopt(publication, from: backend)
    guard let document = seen.document("press") else { return }
    let offset = bytes.count / 4 * 3
    for offset in [0, 1, offset, bytes.count - 1, bytes.count] {
      let tail = try await tail(of: document, from: offset, in: seen)
      try expect(
        tail == Array(bytes[offset...]),
        "from offset \(offset), reading gives the last \(bytes.count - offset) of \(bytes.count) bytes",
        "\(tail.count) bytes came, or other ones")
    }
    guard backend.capabilities.contains(.resumes) else {
      return note("that it is not read from the beginning", "the backend does not declare that it resumes")
    }
    guard let before = try await traffic().bytes else {
      return note("that it is not read from the beginning", "the fixture's source cannot count its bytes")
    }
    _ = try await tail(of: document, from: offset, in: seen)
    let read = (try await traffic().bytes ?? before) - before
    try expect(
      read < UInt64(bytes.count / 2),
      "for the last quarter of a document, little more than a quarter leaves the source",
      "\(read) of \(bytes.count) bytes left it")
  }

  private func tail(of document: DocumentReference, from offset: Int, in seen: Seen) async throws -> [UInt8] {
    try await quickly("reading document '\(document.id)' from offset \(offset)") {
      var bytes: [UInt8] = []
      for try await piece in try await seen.fetched.documents.open(document, from: UInt64(offset)) { bytes += piece }
      return bytes
    }
  }
}
