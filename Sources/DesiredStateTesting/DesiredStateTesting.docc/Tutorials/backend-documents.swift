import DesiredState
import Foundation

/// The documents that were in the twin with their manifest.
struct TwinDocuments: DocumentReader {
  var parts: [String: Data]

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    // Trust updates are read in the same way: law 20.
    let path = document.url ?? DropLayout.document(document.digest)
    guard let bytes = parts[path] else {
      throw VerificationError(.documentMissing, "document '\(document.id)' is not in the twin (yet)")
    }
    return DocumentBytes([UInt8](bytes))
  }
}
