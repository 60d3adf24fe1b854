import DesiredStateSupport
import FoundationEssentials

extension StateManifest {
  /// Reads a manifest from its bytes, in memory that follows from the part that is kept.
  ///
  /// - Parameters:
  ///   - bytes: the manifest's bytes: UTF-8, without a byte-order mark.
  ///   - requiresVersion: false only for a manifest this package synthesised itself.
  ///   - maximumDocumentCount: with more documents it is refused before they are all read.
  /// - Throws: ``VerificationError`` with `manifest-malformed`, `unsupported-digest` or `limit-exceeded`.
  public init(
    parsing bytes: [UInt8], requiresVersion: Bool = true, maximumDocumentCount: Int = .max
  ) throws(VerificationError) {
    self.init(version: nil, documents: [])
    var isComplete = false
    // A fault beyond JSON's form has a code of its own.
    var refusal: VerificationError?
    do throws(JSONReader.Failure) {
      var reader = try JSONReader(bytes)
      try reader.object { reader, key throws(JSONReader.Failure) in
        switch key {
        case "manifestVersion":
          guard try !reader.isNull() else { return }
          let version = try reader.unsignedInteger()
          guard version > 0 else { throw reader.failure("versions start at 1") }
          self.version = version
        case "bundle":
          if try !reader.isNull() { bundle = try Self.bundle(from: &reader, &refusal) }
        case "deployments":
          isComplete = true
          // At once and for all there can be: growing would need the room twice, and pages that stay unused cost nothing.
          documents.reserveCapacity(min(maximumDocumentCount, bytes.count / Self.shortestEntry))
          try reader.array { reader, index throws(JSONReader.Failure) in
            guard index < maximumDocumentCount else {
              refusal = VerificationError(
                .limitExceeded, "the manifest has more documents than the limit of \(maximumDocumentCount)")
              throw reader.failure("there are too many")
            }
            documents.append(try Self.document(from: &reader, &refusal))
          }
        case "x-desired-state-extensions":
          if try !reader.isNull() { try readExtensions(from: &reader) }
        default: try reader.skip()
        }
      }
      try reader.end()
      guard isComplete else { throw reader.failure("'deployments' is missing") }
      guard version != nil || !requiresVersion else { throw reader.failure("'manifestVersion' is missing") }
    } catch {
      throw refusal ?? VerificationError(.manifestMalformed, "the manifest cannot be read: \(error)")
    }
  }

  /// The bundle that a manifest names and how many documents there are, without reading these; nil if it names none, or
  /// cannot be read.
  public static func bundle(in bytes: [UInt8]) -> (reference: BundleReference, documentCount: Int)? {
    var (reference, count): (BundleReference?, Int) = (nil, 0)
    var refusal: VerificationError?
    do throws(JSONReader.Failure) {
      var reader = try JSONReader(bytes)
      try reader.object { reader, key throws(JSONReader.Failure) in
        switch key {
        case "bundle": reference = try reader.isNull() ? nil : bundle(from: &reader, &refusal)
        case "deployments":
          try reader.array { reader, _ throws(JSONReader.Failure) in
            count += 1
            try reader.skip()
          }
        default: try reader.skip()
        }
      }
    } catch {
      return nil
    }
    return reference.map { ($0, count) }
  }

  /// Bytes of an entry with an id of one letter: `{"deploymentId":"a","digest":"sha256:…"}`.
  private static let shortestEntry = 105

  private mutating func readExtensions(from reader: inout JSONReader) throws(JSONReader.Failure) {
    try reader.object { reader, key throws(JSONReader.Failure) in
      guard ["device", "issued", "expires", "trust", "message"].contains(key) else { return try reader.skip() }
      guard try !reader.isNull() else { return }
      switch key {
      case "device": device = try reader.string()
      case "issued": issued = try Self.time(from: &reader)
      case "expires": expires = try Self.time(from: &reader)
      case "message": message = try reader.string()
      default: trust = try reader.unsignedInteger()
      }
    }
  }

  private static func document(
    from reader: inout JSONReader, _ refusal: inout VerificationError?
  ) throws(JSONReader.Failure) -> DocumentReference {
    var (id, url): (String?, String?)
    var (digest, size): (String?, UInt64?)
    try reader.object { reader, key throws(JSONReader.Failure) in
      switch key {
      case "deploymentId": id = try reader.string()
      case "digest": digest = try reader.string()
      case "sizeBytes": size = try Self.advice(from: &reader)
      case "url": url = try reader.isNull() ? nil : reader.string()
      default: try reader.skip()
      }
    }
    guard let id else { throw reader.failure("'deploymentId' is missing") }
    guard let digest else { throw reader.failure("'digest' is missing") }
    return DocumentReference(
      id: id, digest: try Self.digest(digest, of: id, reader, &refusal), advisorySize: size, url: url)
  }

  private static func bundle(
    from reader: inout JSONReader, _ refusal: inout VerificationError?
  ) throws(JSONReader.Failure) -> BundleReference {
    var (mediaType, digest, url): (String?, String?, String?)
    var size: UInt64?
    try reader.object { reader, key throws(JSONReader.Failure) in
      switch key {
      case "mediaType": mediaType = try reader.string()
      case "digest": digest = try reader.string()
      case "sizeBytes": size = try Self.advice(from: &reader)
      case "url": url = try reader.string()
      default: try reader.skip()
      }
    }
    guard mediaType == BundleReference.mediaType else {
      throw reader.failure("'mediaType' is not \(BundleReference.mediaType)")
    }
    guard let digest, let url else { throw reader.failure("'\(digest == nil ? "digest" : "url")' is missing") }
    return BundleReference(
      digest: try Self.digest(digest, of: "the bundle", reader, &refusal), advisorySize: size, url: url)
  }

  private static func digest(
    _ text: String, of owner: String, _ reader: JSONReader, _ refusal: inout VerificationError?
  ) throws(JSONReader.Failure) -> Digest {
    do throws(VerificationError) {
      return try Digest(parsing: text)
    } catch {
      if error.code == .unsupportedDigest {
        let name = text.prefix { $0 != ":" }
        refusal = VerificationError(
          .unsupportedDigest, "digest of \(quoted(owner)) uses \(quoted(name, limit: 32)); only sha256 is supported")
      }
      throw reader.failure("digest of \(quoted(owner)): \(error.reason)")
    }
  }

  /// A number that decides nothing. The specification lets it be any; one that is no number of bytes says nothing.
  private static func advice(from reader: inout JSONReader) throws(JSONReader.Failure) -> UInt64? {
    try reader.isNull() ? nil : reader.countIfWhole()
  }

  private static func time(from reader: inout JSONReader) throws(JSONReader.Failure) -> Date {
    let text = try reader.string()
    guard let date = Timestamp.parse(text) else {
      throw reader.failure("\(quoted(text, limit: 64)) is not an RFC 3339 date and time")
    }
    return date
  }
}
