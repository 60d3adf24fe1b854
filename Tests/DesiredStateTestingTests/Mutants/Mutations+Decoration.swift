import DesiredState

@testable import DesiredStateTesting

// Mistakes in how evidence, origin and absence are handed on, and in memory: laws 17 to 19.
extension Mutation {
  static func hidingEvidence() -> Mutation {
    Mutation(
      verify: { state, verifier, base in
        let hidden = (state.documents as? HidingReader)?.signatures
        return try await base.verify(state.replacing(signatures: hidden), with: verifier)
      },
      finish: { state in
        state.replacing(signatures: [], documents: HidingReader(base: state.documents, signatures: state.signatures))
      })
  }

  static func droppingOrigin() -> Mutation {
    Mutation(fetch: { request, base in try await base.fetch(request).mapState(withoutOrigin) })
  }

  static func losingOrigin() -> Mutation {
    Mutation(verify: { state, verifier, base in try await base.verify(withoutOrigin(state), with: verifier) })
  }

  private static func withoutOrigin(_ state: FetchedState) -> FetchedState {
    FetchedState(
      manifest: state.manifest, signatures: state.signatures, evidence: { _ in state.evidence },
      documents: state.documents)
  }

  static func sayingNothingOfAbsence() -> Mutation {
    Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      if case .absent(let absence) = result.outcome { return .absent(absence.part, "") }
      return result
    })
  }

  static func keepingWrongBytes() -> Mutation {
    let kept = Shared<[Digest: [UInt8]]>([:])
    return Mutation(open: { document, reader in
      if let bytes = kept.value.withLock({ $0[document.digest] }) { return DocumentBytes(bytes) }
      guard let size = document.advisorySize, size < 1000 else { return try await reader.open(document) }
      var bytes: [UInt8] = []
      for try await piece in try await reader.open(document) {
        bytes += piece
        // Not endless, so that the mutant ends.
        if bytes.count > 1000 { return try await reader.open(document) }
      }
      kept.value.withLock { [bytes] in $0[document.digest] = bytes }
      return DocumentBytes(bytes)
    })
  }
}

extension Mutation {
  static func resuming(_ reader: @escaping @Sendable (any DocumentReader) -> any DocumentReader) -> Mutation {
    Mutation(finish: { state in state.replacing(documents: reader(state.documents)) })
  }
}

/// A reader that resumes as it should not.
struct ResumingReader: DocumentReader {
  let base: any DocumentReader
  let isRestarting: Bool

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    try await base.open(document)
  }

  func open(
    _ document: DocumentReference, from offset: UInt64
  ) async throws -> any AsyncSequence<[UInt8], any Error> {
    guard isRestarting else { return try await base.open(document, from: offset == 0 ? 0 : offset + 1) }
    var bytes: [UInt8] = []
    for try await piece in try await base.open(document) { bytes += piece }
    return DocumentBytes(Array(bytes.dropFirst(Int(clamping: offset))))
  }
}

/// A reader that carries more than documents.
private struct HidingReader: DocumentReader {
  let base: any DocumentReader
  let signatures: [[UInt8]]

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    try await base.open(document)
  }
}
