import DesiredState

/// What the address of a Git source says.
struct GitAddress: Sendable {
  enum Scheme: String, Sendable, CaseIterable {
    case https = "git+https"
    case http = "git+http"
    case ssh = "git+ssh"
    case file = "git+file"
  }

  let scheme: Scheme
  /// `https://host/path`, `ssh://user@host/path`, or a path.
  let location: String
  /// The followed target.
  let reference: GitReference
  /// The directory in the tree; empty for its root.
  let path: String
  /// Whether a commit that does not descend from the adopted one is accepted: `history=any`.
  let acceptsAnyHistory: Bool
  /// Whether receipts are committed at all: not with `receipts=none`.
  let takesReceipts: Bool
  /// Where receipts go instead of the repository itself: `ack=`, a complete address.
  let receiptsAddress: String?
  /// The branch that receipts are committed to; nil for the device's own: `ack-ref=`.
  let receiptsReference: String?
  /// The source in words, without a user's name.
  let source: String

  init(_ address: SourceAddress) throws(SourceAddressError) {
    guard let scheme = Scheme(rawValue: address.scheme) else {
      throw SourceAddressError("'\(address.scheme):' does not name a Git source")
    }
    self.scheme = scheme
    let known: Set<String> = ["ref", "path", "history", "ack", "ack-ref", "receipts"]
    if let unknown = address.query.keys.sorted().first(where: { !known.contains($0) }) {
      throw SourceAddressError(
        "a Git source has no '\(unknown)=': \(known.sorted().joined(separator: ", ")) can be given")
    }
    if scheme == .file {
      location = try address.filePath()
    } else {
      guard address.location.hasPrefix("//"), address.location.utf8.count > 2, !address.location.hasPrefix("///") else {
        throw SourceAddressError("write \(scheme.rawValue)://host/path/of/repository.git")
      }
      location = "\(scheme.rawValue.dropFirst(4)):\(address.location)"
    }
    reference = try GitReference(address.query["ref"])
    path = try Self.directory(address.query["path"] ?? "")
    switch address.query["history"] {
    case nil: acceptsAnyHistory = false
    case "any": acceptsAnyHistory = true
    default: throw SourceAddressError("'history=' can only be 'any': commits need not descend from the adopted one")
    }
    switch address.query["receipts"] {
    case nil: takesReceipts = true
    case "none": takesReceipts = false
    default: throw SourceAddressError("'receipts=' can only be 'none': no receipts are committed")
    }
    receiptsAddress = address.query["ack"]
    receiptsReference = try address.query["ack-ref"].map { text throws(SourceAddressError) in
      try GitReference.fullNames(text)[0]
    }
    let shown = Self.withoutUser(address.location)
    let query = address.query.filter { $0.key == "ref" || $0.key == "path" }.sorted { $0.key < $1.key }
      .map { "\($0.key)=\($0.value)" }.joined(separator: "&")
    source = "\(scheme.rawValue):\(shown)\(query.isEmpty ? "" : "?\(query)")"
  }

  private static func withoutUser(_ location: String) -> String {
    guard location.hasPrefix("//") else { return location }
    let rest = location.dropFirst(2)
    let authority = rest.prefix { $0 != "/" }
    guard let at = authority.lastIndex(of: "@") else { return location }
    return "//" + rest[rest.index(after: at)...]
  }

  private static func directory(_ path: String) throws(SourceAddressError) -> String {
    let parts = path.split(separator: "/")
    guard !parts.contains("."), !parts.contains(".."), !path.utf8.contains(0) else {
      throw SourceAddressError("'path=' names a directory of the tree, from its root, without '.' or '..'")
    }
    return parts.joined(separator: "/")
  }
}
