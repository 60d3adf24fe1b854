import DesiredStateSupport

/// A document's bytes on their way, digested and counted as they pass.
struct VerifiedBytes: AsyncSequence {
  let document: DocumentReference
  let bytes: any AsyncSequence<[UInt8], any Error>
  let limit: UInt64
  /// What came before, if the document is continued.
  var head = DocumentHead()

  struct AsyncIterator: AsyncIteratorProtocol {
    let document: DocumentReference
    let limit: UInt64
    var bytes: any AsyncIteratorProtocol<[UInt8], any Error>
    var head: DocumentHead

    mutating func next() async throws -> [UInt8]? {
      try await next(isolation: nil)
    }

    mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
      let next: [UInt8]?
      do {
        next = try await bytes.next(isolation: actor)
      } catch {
        throw BackendError.contractual(error, of: "document \(quoted(document.id))")
      }
      guard let chunk = next else {
        let digest = head.hasher.finalize()
        guard digest == document.digest else {
          throw refusal(
            .digestMismatch,
            "document \(quoted(document.id)) has digest \(digest), the manifest says \(document.digest); publish it again"
          )
        }
        return nil
      }
      head.add(chunk)
      guard head.count <= limit else {
        throw refusal(.limitExceeded, "document \(quoted(document.id)) is longer than the limit of \(limit) bytes")
      }
      return chunk
    }

    private func refusal(_ code: VerificationError.Code, _ reason: String) -> VerificationError {
      var error = VerificationError(code, reason, evidence: ["document \(document.id)"])
      error.document = document
      return error
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(document: document, limit: limit, bytes: bytes.makeAsyncIterator(), head: head)
  }
}
