import DesiredState
import Synchronization

@testable import DesiredStateTesting

// Mistakes in how documents and evidence are read: laws 7, 8, 10, 11 and 13.
extension Mutation {
  static func changingPieces(_ change: @escaping @Sendable ([UInt8]) -> [UInt8]) -> Mutation {
    Mutation(open: { document, reader in WrappedBytes(base: try await reader.open(document)) { change($0) } })
  }

  static func cutting(at length: Int) -> Mutation {
    Mutation(open: { document, reader in
      let count = Shared(0)
      return WrappedBytes(base: try await reader.open(document)) { piece in
        count.value.withLock { count in
          defer { count += piece.count }
          return Array(piece.prefix(max(0, length - count)))
        }
      }
    })
  }

  static func missingEmptyDocuments() -> Mutation {
    let empty = Digest.of([])
    return Mutation(open: { document, reader in
      guard document.digest != empty else {
        throw VerificationError(.documentMissing, "document '\(document.id)' is not at the source")
      }
      return try await reader.open(document)
    })
  }

  static func readingHeldDocuments() -> Mutation {
    Mutation(fetch: { request, base in
      let result = try await base.fetch(request)
      if case .changed(let state) = result.outcome {
        for document in try StateManifest(parsing: state.manifest).documents
        where request.held.contains(document.digest) {
          _ = try await state.documents.open(document)
        }
      }
      return result
    })
  }

  static func fillingGaps() -> Mutation {
    let known = Shared<[String: [UInt8]]>([:])
    return Mutation(open: { document, reader in
      do {
        let pieces = try await reader.open(document)
        let first = Shared(true)
        return WrappedBytes(base: pieces) { piece in
          let isFirst = first.value.withLock { first in
            defer { first = false }
            return first
          }
          known.value.withLock { $0[document.id] = (isFirst ? [] : $0[document.id, default: []]) + piece }
          return piece
        }
      } catch let error as VerificationError where error.code == .documentMissing {
        guard let old = known.value.withLock({ $0[document.id] }) else { throw error }
        return DocumentBytes(old)
      }
    })
  }

  static func rememberingTheIncomplete() -> Mutation {
    let incomplete = Shared<Set<Digest>>([])
    return Mutation(
      fetch: { request, base in
        let result = try await base.fetch(request)
        guard case .changed(let state) = result.outcome, request.current != nil else { return result }
        let manifest = try StateManifest(parsing: state.manifest)
        let isIncomplete = incomplete.value.withLock { known in
          manifest.documents.contains { known.contains($0.digest) }
        }
        return isIncomplete ? .unchanged : result
      },
      open: { document, reader in
        do {
          return try await reader.open(document)
        } catch let error as VerificationError where error.code == .documentMissing {
          incomplete.value.withLock { _ = $0.insert(document.digest) }
          throw error
        }
      })
  }

  static func bufferingManifest() -> Mutation {
    Mutation(fetch: { request, base in
      var generous = request
      // Not endless, so that the mutant ends.
      generous.limits.manifestSize = 24 << 20
      let result = try await base.fetch(generous)
      if case .changed(let state) = result.outcome, state.manifest.count > request.limits.manifestSize {
        throw VerificationError(.limitExceeded, "the manifest is too long")
      }
      return result
    })
  }

  static func bufferingDocuments() -> Mutation {
    Mutation(open: { document, reader in
      var bytes: [UInt8] = []
      for try await piece in try await reader.open(document) {
        bytes += piece
        // Not endless, so that the mutant ends.
        if bytes.count > 24 << 20 { break }
      }
      return DocumentBytes(bytes)
    })
  }

  static func readingAnySignature() -> Mutation {
    Mutation(fetch: { request, base in
      var request = request
      request.limits.evidenceSize = .max / 2
      return try await base.fetch(request)
    })
  }

  static func vouching() -> Mutation {
    Mutation(fetch: { request, base in
      try await base.fetch(request).mapState { state in
        FetchedState(
          manifest: state.manifest, signatures: state.signatures, evidence: { [ForgedEvidence(revision: $0)] },
          origin: state.origin, documents: state.documents)
      }
    })
  }

  static func mistakingTampering() -> Mutation {
    Mutation(verify: { state, verifier, base in
      do {
        return try await base.verify(state, with: verifier)
      } catch let error as VerificationError where error.code.rawValue.hasPrefix("sign") {
        throw BackendError(.protocolViolation, "the source sent something wrong", underlying: error)
      }
    })
  }

  static func mixingUpReaders() -> Mutation {
    let asked = Shared<DocumentReference?>(nil)
    return Mutation(open: { document, reader in
      asked.value.withLock { $0 = document }
      try await Task.sleep(for: .milliseconds(2))
      return try await reader.open(asked.value.withLock { $0 } ?? document)
    })
  }
}

/// Evidence that no key ever gave.
private struct ForgedEvidence: StateEvidence {
  let revision: Revision

  func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement] {
    [.signer(Signer(principals: ["a stranger"], key: "SHA256:anything"))]
  }
}
