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
  /// `x-desired-state-extensions.trust`: the number of the trust update that a device must have to weigh this manifest.
  public var trust: UInt64?
  /// `x-desired-state-extensions.message`: why the publisher published this state, in words for operators.
  public var message: String?

  /// A manifest of these parts.
  public init(
    version: UInt64?, bundle: BundleReference? = nil, documents: [DocumentReference],
    device: String? = nil, issued: Date? = nil, expires: Date? = nil, trust: UInt64? = nil,
    message: String? = nil
  ) {
    self.version = version
    self.bundle = bundle
    self.documents = documents
    self.device = device
    self.issued = issued
    self.expires = expires
    self.trust = trust
    self.message = message
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

    /// A reference of these parts.
    public init(digest: Digest, advisorySize: UInt64? = nil, url: String) {
      self.digest = digest
      self.advisorySize = advisorySize
      self.url = url
    }
  }
}

extension StateManifest {
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
      trust.map { "\"trust\": \($0)" },
      message.map { "\"message\": \(JSON.quoted($0))" },
    ].compactMap { $0 }
    if !extensions.isEmpty {
      text += ",\n  \"x-desired-state-extensions\": { \(extensions.joined(separator: ", ")) }"
    }
    text += "\n}\n"
    return Array(text.utf8)
  }
}
