/// One entry of a manifest's `deployments`: which document, and by which digest it is known.
///
/// Source: Margo State Manifest v1, `deployments[]`.
public struct DocumentReference: Hashable, Sendable {
  /// `deploymentId`: the document's identity over time, and its name as a file under `current`.
  public var id: String
  /// The digest of the document's exact bytes; the only thing that says the bytes are right.
  public var digest: Digest
  /// `sizeBytes`, if the manifest gives it: for progress and planning, never for integrity.
  public var advisorySize: UInt64?
  /// `url`: where the document is, relative to the manifest. Nil if the manifest leaves it out.
  public var url: String?

  /// A reference to the document with this digest.
  public init(id: String, digest: Digest, advisorySize: UInt64? = nil, url: String? = nil) {
    self.id = id
    self.digest = digest
    self.advisorySize = advisorySize
    self.url = url
  }
}

extension Sequence where Element == DocumentReference {
  /// The length of all of them, as the publisher gives it; nil if one is not given.
  package var advisorySize: UInt64? {
    var total: UInt64 = 0
    for document in self {
      guard let size = document.advisorySize else { return nil }
      total = total.addingReportingOverflow(size).partialValue
    }
    return total
  }
}
