import DesiredStateSupport

/// The address of a source: a path on this device, or a URL (RFC 3986) whose scheme picks the backend.
public struct SourceAddress: Sendable, Hashable {
  /// The scheme in lower case; `file` for a path.
  public let scheme: String
  /// `//authority` and what follows, as given, without the query; for a path, the path.
  public let location: String
  /// What follows `?`, by name. A path has none: a question mark is part of its name.
  public let query: [String: String]
  private let queryItems: [Substring]
  // A path is taken as it is; a URL is percent-encoded.
  private let isPath: Bool

  /// Reads an address.
  ///
  /// - Throws: ``SourceAddressError`` if it is empty or has a fragment, or a query cannot be decoded or names something
  ///   twice.
  public init(_ text: String) throws(SourceAddressError) {
    guard !text.isEmpty else { throw SourceAddressError("the address of the source is empty") }
    guard let scheme = Self.scheme(of: text) else {
      self.scheme = "file"
      location = text
      query = [:]
      queryItems = []
      isPath = true
      return
    }
    isPath = false
    let rest = text.dropFirst(scheme.utf8.count + 1)
    // RFC 3986 section 3.5: a fragment is never sent, so a name with '#' in it would be cut short in silence.
    guard !rest.contains("#") else {
      throw SourceAddressError("the address of the source holds a '#', which ends a URL; write it as %23")
    }
    let mark = rest.firstIndex(of: "?") ?? rest.endIndex
    self.scheme = scheme.lowercased()
    location = String(rest[..<mark])
    queryItems = rest[mark...].dropFirst().split(separator: "&")
    query = try Self.parse(queryItems)
  }

  /// The query as it was written, with its question mark, without the items of these names; empty if none is left. For
  /// backends that take a few items for themselves and pass the rest on.
  public func queryText(without names: Set<String>) -> String {
    let rest = queryItems.filter { item in
      PercentEncoding.decode(item.prefix { $0 != "=" }.utf8).map { !names.contains($0) } ?? true
    }
    return rest.isEmpty ? "" : "?" + rest.joined(separator: "&")
  }

  /// The path a `file:` URL or a plain path names.
  ///
  /// - Throws: ``SourceAddressError`` if the URL names another host (RFC 8089 section 2) or cannot be decoded.
  public func filePath() throws(SourceAddressError) -> String {
    if isPath { return location }
    guard location.hasPrefix("//") else { return try decoded(location) }
    let rest = location.dropFirst(2)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let host = rest[..<slash]
    guard host.isEmpty || host == "localhost" else {
      throw SourceAddressError("file://\(host)… names another host; write file:///path for a path on this one")
    }
    return try decoded(String(rest[slash...]))
  }

  private func decoded(_ path: String) throws(SourceAddressError) -> String {
    guard let decoded = PercentEncoding.decode(path[...].utf8), !decoded.isEmpty, !decoded.utf8.contains(0) else {
      throw SourceAddressError("the path of the file: URL cannot be read")
    }
    return decoded
  }

  /// A scheme as RFC 3986 section 3.1 writes it, or nil if the text is a path. One letter is no scheme: it would be
  /// a drive, and no scheme in use is that short.
  private static func scheme(of text: String) -> Substring? {
    guard let colon = text.firstIndex(of: ":"), text[..<colon].utf8.count > 1 else { return nil }
    let scheme = text[..<colon]
    guard scheme.utf8.first.map(isLetter) == true,
      scheme.utf8.allSatisfy({ isLetter($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0) })
    else { return nil }
    return scheme
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  private static func parse(_ items: [Substring]) throws(SourceAddressError) -> [String: String] {
    var values: [String: String] = [:]
    for item in items {
      let equals = item.firstIndex(of: "=") ?? item.endIndex
      guard let name = PercentEncoding.decode(item[..<equals].utf8),
        let value = PercentEncoding.decode(item[equals...].dropFirst().utf8)
      else {
        throw SourceAddressError("the query of the source's address cannot be read")
      }
      guard values.updateValue(value, forKey: name) == nil else {
        throw SourceAddressError("the source's address names '\(name)' twice")
      }
    }
    return values
  }
}
