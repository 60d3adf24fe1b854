import DesiredStateSupport

/// A trust update as it came from a source: nothing in it is trusted yet.
struct TrustUpdateFile: Sendable {
  var update: [UInt8]
  /// Armored signatures, one or several; empty if there is no such file (yet).
  var signatures: [UInt8]
}

extension FetchedState {
  /// Reads the trust update with a number; nil if the source does not have it.
  ///
  /// It is read as documents are, through ``documents``, by a reference whose `url` is the path in the drop: a backend
  /// that reads documents by their `url` needs nothing more, and what decorates its reading is not passed by. In a plain
  /// tree the path is ``DropLayout/plainTrust`` and below, from the root of the tree.
  func trustUpdate(_ number: UInt64, limits: Limits) async throws -> TrustUpdateFile? {
    let prefix = isSynthesised ? DropLayout.plainTrust : ""
    guard
      let update = try await file(at: prefix + DropLayout.trustUpdate(number), limit: TrustUpdate.maximumSize)
    else { return nil }
    let signatures = try await file(at: prefix + DropLayout.trustSignatures(number), limit: limits.evidenceSize)
    return TrustUpdateFile(update: update, signatures: signatures ?? [])
  }

  private func file(at path: String, limit: Int) async throws -> [UInt8]? {
    // Its digest is not known; the one of its name keeps it apart from every document and from the other files.
    let reference = DocumentReference(id: path, digest: .of(path.utf8), url: path)
    var bytes: [UInt8] = []
    do {
      for try await chunk in try await documents.open(reference) {
        bytes += chunk
        guard bytes.count <= limit else {
          throw VerificationError(.trustInvalid, "\(path) is longer than the limit of \(limit) bytes")
        }
      }
      return bytes
    } catch let error as VerificationError where error.code == .documentMissing {
      return nil
    } catch {
      throw BackendError.contractual(error, of: path)
    }
  }
}
