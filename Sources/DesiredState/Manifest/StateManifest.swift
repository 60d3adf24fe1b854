import DesiredStateSupport
public import FoundationEssentials

/// A parsed Margo State Manifest v1 (`application/vnd.margo.manifest.v1+json`).
///
/// Reading is strict about everything this package uses and indifferent to the rest: unknown keys are ignored, and
/// stay in the bytes that were signed, because trust and revision are about those bytes and never about this value.
public struct StateManifest: Sendable, Equatable {
  /// The media type of the JSON form.
  public static let mediaType = "application/vnd.margo.manifest.v1+json"

  /// `manifestVersion`, 1 to 2^64-1, strictly increasing; nil only in a manifest synthesised for a source that has
  /// none of its own (a plain directory, a plain Git tree).
  public var version: UInt64?
  /// `bundle`: one archive with all documents, if the publisher offers it.
  public var bundle: BundleReference?
  /// `deployments`, in the publisher's order.
  public var documents: [DocumentReference]
  /// `x-desired-state-extensions.device`: the only device this manifest is for.
  public var device: String?
  /// `x-desired-state-extensions.issued`.
  public var issued: Date?
  /// `x-desired-state-extensions.expires`: after this instant the manifest must not be adopted.
  public var expires: Date?

  public init(
    version: UInt64?, bundle: BundleReference? = nil, documents: [DocumentReference],
    device: String? = nil, issued: Date? = nil, expires: Date? = nil
  ) {
    self.version = version
    self.bundle = bundle
    self.documents = documents
    self.device = device
    self.issued = issued
    self.expires = expires
  }

  /// Margo's `bundle` object: one archive that contains every document of the manifest.
  public struct BundleReference: Hashable, Sendable {
    /// The media type Margo requires.
    public static let mediaType = "application/vnd.margo.bundle.v1+tar+gzip"

    /// The digest of the archive's exact bytes.
    public var digest: Digest
    /// `sizeBytes`: advisory.
    public var advisorySize: UInt64?
    /// `url`, relative to the manifest.
    public var url: String

    public init(digest: Digest, advisorySize: UInt64? = nil, url: String) {
      self.digest = digest
      self.advisorySize = advisorySize
      self.url = url
    }
  }
}

// MARK: - JSON

extension StateManifest {
  /// Reads a manifest from its bytes.
  ///
  /// - Parameter requiresVersion: false only for a manifest this package synthesised itself.
  /// - Throws: ``VerificationError`` with `manifest-malformed` or `unsupported-digest`.
  public init(parsing bytes: [UInt8], requiresVersion: Bool = true) throws(VerificationError) {
    let wire: Wire
    do {
      wire = try JSONDecoder().decode(Wire.self, from: Data(bytes))
    } catch let error as VerificationError {
      throw error
    } catch let error as DecodingError {
      throw VerificationError(.manifestMalformed, "the manifest cannot be read: \(Self.explain(error))")
    } catch {
      throw VerificationError(.manifestMalformed, "the manifest cannot be read: \(error)")
    }
    guard wire.manifestVersion != 0 else {
      throw VerificationError(.manifestMalformed, "manifestVersion is 0; versions start at 1")
    }
    guard wire.manifestVersion != nil || !requiresVersion else {
      throw VerificationError(.manifestMalformed, "the manifest has no manifestVersion")
    }
    self.init(
      version: wire.manifestVersion, bundle: wire.bundle?.reference, documents: wire.deployments.references,
      device: wire.extensions?.device, issued: try Self.time(wire.extensions?.issued, "issued"),
      expires: try Self.time(wire.extensions?.expires, "expires"))
  }

  /// The manifest as JSON: keys in a fixed order, one document a line, so that two of them compare well with `diff`.
  public func encoded() -> [UInt8] {
    var text = "{\n"
    if let version { text += "  \"manifestVersion\": \(version),\n" }
    if let bundle {
      text += "  \"bundle\": { \"mediaType\": \(JSON.quoted(BundleReference.mediaType)),"
      text += " \"digest\": \"\(bundle.digest)\","
      if let size = bundle.advisorySize { text += " \"sizeBytes\": \(size)," }
      text += " \"url\": \(JSON.quoted(bundle.url)) },\n"
    } else {
      text += "  \"bundle\": null,\n"
    }
    text += "  \"deployments\": ["
    for (index, document) in documents.enumerated() {
      text += index == 0 ? "\n" : ",\n"
      text += "    { \"deploymentId\": \(JSON.quoted(document.id)), \"digest\": \"\(document.digest)\""
      if let size = document.advisorySize { text += ", \"sizeBytes\": \(size)" }
      if let url = document.url { text += ", \"url\": \(JSON.quoted(url))" }
      text += " }"
    }
    text += documents.isEmpty ? "]" : "\n  ]"
    let extensions = [
      device.map { "\"device\": \(JSON.quoted($0))" },
      issued.map { "\"issued\": \"\(Timestamp.text($0))\"" },
      expires.map { "\"expires\": \"\(Timestamp.text($0))\"" },
    ].compactMap { $0 }
    if !extensions.isEmpty {
      text += ",\n  \"x-desired-state-extensions\": { \(extensions.joined(separator: ", ")) }"
    }
    text += "\n}\n"
    return Array(text.utf8)
  }

  private static func time(_ text: String?, _ key: String) throws(VerificationError) -> Date? {
    guard let text else { return nil }
    guard let date = Timestamp.parse(text) else {
      throw VerificationError(.manifestMalformed, "'\(key)' is not an RFC 3339 date and time: '\(text.prefix(64))'")
    }
    return date
  }

  private static func explain(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
      let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
      return path.isEmpty ? context.debugDescription : "\(path.drop { $0 == "." }): \(context.debugDescription)"
    }
    switch error {
    case .keyNotFound(let key, let context): return "'\(key.stringValue)' is missing (\(place(context)))"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      return place(context)
    @unknown default: return "\(error)"
    }
  }

  /// The manifest as it stands in JSON, before its values are checked.
  private struct Wire: Decodable {
    var manifestVersion: UInt64?
    var bundle: Bundle?
    var deployments: Documents
    var extensions: Extensions?

    enum CodingKeys: String, CodingKey {
      case manifestVersion, bundle, deployments
      case extensions = "x-desired-state-extensions"
    }

    struct Bundle: Decodable {
      var reference: BundleReference

      enum CodingKeys: String, CodingKey { case mediaType, digest, sizeBytes, url }

      init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let mediaType = try values.decode(String.self, forKey: .mediaType)
        guard mediaType == BundleReference.mediaType else {
          throw VerificationError(.manifestMalformed, "bundle.mediaType is not \(BundleReference.mediaType)")
        }
        reference = BundleReference(
          digest: try StateManifest.digest(try values.decode(String.self, forKey: .digest), of: "the bundle"),
          advisorySize: try values.decodeIfPresent(UInt64.self, forKey: .sizeBytes),
          url: try values.decode(String.self, forKey: .url))
      }
    }

    struct Extensions: Decodable {
      var device: String?
      var issued: String?
      var expires: String?
    }

    /// The list is decoded here, entry by entry, so that no second array of half-checked entries exists.
    struct Documents: Decodable {
      var references: [DocumentReference] = []

      enum CodingKeys: String, CodingKey { case deploymentId, digest, sizeBytes, url }

      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        references.reserveCapacity(list.count ?? 0)
        while !list.isAtEnd {
          let values = try list.nestedContainer(keyedBy: CodingKeys.self)
          let id = try values.decode(String.self, forKey: .deploymentId)
          references.append(
            DocumentReference(
              id: id, digest: try StateManifest.digest(try values.decode(String.self, forKey: .digest), of: id),
              advisorySize: try values.decodeIfPresent(UInt64.self, forKey: .sizeBytes),
              url: try values.decodeIfPresent(String.self, forKey: .url)))
        }
      }
    }
  }

  private static func digest(_ text: String, of what: String) throws(VerificationError) -> Digest {
    do {
      return try Digest(parsing: text)
    } catch .unsupportedAlgorithm(let name) {
      throw VerificationError(
        .unsupportedDigest,
        "digest of \(quoted(what)) uses \(quoted(name, limit: 32)); only sha256 is supported")
    } catch {
      throw VerificationError(.manifestMalformed, "digest of \(quoted(what)): \(error)")
    }
  }
}
