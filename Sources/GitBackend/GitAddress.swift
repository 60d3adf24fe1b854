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
  /// The names a reference may have, the first that exists counts.
  let references: [String]
  /// The directory in the tree; empty for its root.
  let path: String
  /// Whether a commit that does not descend from the adopted one is accepted: `history=any`.
  let acceptsAnyHistory: Bool
  /// Where receipts go instead of the repository itself: `ack=`, a complete address.
  let receiptsAddress: String?
  /// The branch that receipts are committed to; nil for the device's own: `ack-ref=`.
  let receiptsReference: String?
  /// The source in words, without a user's name.
  let source: String

  init(_ address: SourceAddress) throws(SourceAddressError) {
    guard let scheme = Scheme(rawValue: address.scheme) else {
      throw SourceAddressError("'\(address.scheme):' is no Git source")
    }
    self.scheme = scheme
    let known: Set<String> = ["ref", "path", "history", "ack", "ack-ref"]
    if let unknown = address.query.keys.sorted().first(where: { !known.contains($0) }) {
      throw SourceAddressError(
        "a Git source has no '\(unknown)=': \(known.sorted().joined(separator: ", ")) can be given")
    }
    if scheme == .file {
      location = try address.filePath()
    } else {
      guard address.location.hasPrefix("//"), address.location.utf8.count > 2 else {
        throw SourceAddressError("write \(scheme.rawValue)://host/path/of/repository.git")
      }
      location = "\(scheme.rawValue.dropFirst(4)):\(address.location)"
    }
    references = try Self.references(address.query["ref"])
    path = try Self.directory(address.query["path"] ?? "")
    switch address.query["history"] {
    case nil: acceptsAnyHistory = false
    case "any": acceptsAnyHistory = true
    default: throw SourceAddressError("'history=' can only be 'any': commits need not descend from the adopted one")
    }
    receiptsAddress = address.query["ack"]
    receiptsReference = try address.query["ack-ref"].map { text throws(SourceAddressError) in
      try Self.references(text)[0]
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

  /// The full names that `ref=` may stand for: a branch before a tag.
  static func references(_ name: String?) throws(SourceAddressError) -> [String] {
    guard let name else { return ["HEAD"] }
    // git-check-ref-format(1), as far as a name could be taken for something else on its way.
    let isSafe =
      !name.isEmpty && !name.contains("..") && !name.hasPrefix("-") && !name.hasPrefix("/") && !name.hasSuffix("/")
      && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !"~^:?*[\\".utf8.contains($0) }
    guard isSafe else { throw SourceAddressError("'ref=' names no branch or tag as git allows them") }
    return name.hasPrefix("refs/") ? [name] : ["refs/heads/\(name)", "refs/tags/\(name)"]
  }

  private static func directory(_ path: String) throws(SourceAddressError) -> String {
    let parts = path.split(separator: "/")
    guard !parts.contains("."), !parts.contains(".."), !path.utf8.contains(0) else {
      throw SourceAddressError("'path=' names a directory of the tree, from its root, without '.' or '..'")
    }
    return parts.joined(separator: "/")
  }
}
