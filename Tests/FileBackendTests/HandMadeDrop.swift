import DesiredState
import Foundation
import TestSupport
import Testing

/// A drop made by hand, without this package's writer.
struct HandMadeDrop {
  let path: String
  var documents: [(id: String, bytes: [UInt8])] = []

  init(at path: String) { self.path = path }

  var references: [DocumentReference] {
    documents.map { document in
      let digest = Digest.of(document.bytes)
      return DocumentReference(
        id: document.id, digest: digest, advisorySize: UInt64(document.bytes.count), url: "documents/\(digest.fileName)"
      )
    }
  }

  func manifest(version: UInt64) -> [UInt8] { StateManifest(version: version, documents: references).encoded() }

  /// Writes documents, signature and manifest, and returns the revision.
  @discardableResult
  func publish(version: UInt64, signature: String? = "signature") throws -> Revision {
    try writeDocuments()
    let manifest = manifest(version: version)
    let revision = Revision(ofManifest: manifest)
    if let signature { try write(signature, to: "\(path)/signatures/\(revision.digest.fileName).sig") }
    try writeManifest(manifest)
    return revision
  }

  func writeDocuments() throws {
    for document in documents {
      try write(document.bytes, to: "\(path)/documents/\(Digest.of(document.bytes).fileName)")
    }
  }

  func writeManifest(_ manifest: [UInt8]) throws {
    try write(manifest, to: "\(path)/.manifest.tmp")
    try #require(rename("\(path)/.manifest.tmp", "\(path)/manifest.json") == 0)
  }
}

extension HandMadeDrop {
  /// Three small documents.
  static func small(at path: String) -> HandMadeDrop {
    var drop = HandMadeDrop(at: path)
    drop.documents = [("a.yaml", Array("alpha\n".utf8)), ("b/c.yaml", Array("beta\n".utf8)), ("empty", [])]
    return drop
  }
}
