import DesiredStateSupport
public import FoundationEssentials

/// Who may sign what, and from when to when: an OpenSSH `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS).
///
/// The file is read as `ssh-keygen -Y verify` reads it, with one difference: a line that ssh-keygen would skip with a
/// complaint makes the whole file refused here, because its writer meant something by it.
public struct AllowedSigners: Sendable {
  /// A line of the file: a key and what it may sign.
  public struct Entry: Sendable {
    /// The number of the line, from 1.
    public let line: Int
    /// Who the key belongs to; for an authority, the names that its certificates may give.
    public let principals: SSHPatternList
    /// Whether the key is an authority (`cert-authority`): it signs certificates, and nothing else counts.
    public let isCertificateAuthority: Bool
    /// The namespaces that the key may sign in (`namespaces=`), or nil for any.
    public let namespaces: SSHPatternList?
    /// The first second at which the key is trusted (`valid-after=`), or nil.
    public let validAfter: Date?
    /// The last second at which the key is trusted (`valid-before=`), or nil.
    public let validBefore: Date?
    /// The key.
    public let key: SSHPublicKey
  }

  /// The lines that are not comments, in their order.
  public let entries: [Entry]

  let entriesByKey: [SSHPublicKey: [Entry]]

  /// The longest file that is looked at, in bytes.
  public static let maximumFileSize = 4 * 1024 * 1024

  /// Reads an `allowed_signers` file.
  ///
  /// Throws `AllowedSignersError` at the first line that is not understood; no part of the file is used then.
  public init(parsing text: String) throws(AllowedSignersError) {
    guard text.utf8.count <= Self.maximumFileSize else {
      throw AllowedSignersError(
        .limitExceeded, line: nil, "the file is longer than \(Self.maximumFileSize) bytes; list fewer keys")
    }
    var entries: [Entry] = []
    for (index, line) in text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
      var parser = AllowedSignersLineParser(line: index + 1, bytes: line.last == 0x0d ? line.dropLast() : line)
      if let entry = try parser.parse() {
        entries.append(entry)
      }
    }
    self.entries = entries
    entriesByKey = Dictionary(grouping: entries, by: \.key)
  }

  /// The file in a form that is the same for files that mean the same: no comments, times in UTC, patterns and lines
  /// sorted, each once. It is an `allowed_signers` file itself.
  ///
  /// Its digest tells whether a policy changed.
  public var canonicalDescription: String {
    // By bytes: strings that Swift calls equal may be spelled differently, and then match different text.
    let lines = Set(entries.map { Array($0.canonicalDescription.utf8) })
    return lines.sorted { $0.lexicographicallyPrecedes($1) }
      .map { String(decoding: $0, as: UTF8.self) + "\n" }.joined()
  }
}

extension AllowedSigners.Entry {
  fileprivate var canonicalDescription: String {
    var options = isCertificateAuthority ? ["cert-authority"] : []
    if let namespaces {
      options.append("namespaces=\"\(namespaces.canonicalDescription.replacing("\"", with: "\\\""))\"")
    }
    if let validAfter {
      options.append("valid-after=\"\(AllowedSignersTimestamp.format(validAfter))\"")
    }
    if let validBefore {
      options.append("valid-before=\"\(AllowedSignersTimestamp.format(validBefore))\"")
    }
    let fields = ["\"\(principals.canonicalDescription)\"", options.joined(separator: ","), key.openSSHRepresentation]
    return fields.filter { !$0.isEmpty }.joined(separator: " ")
  }
}

extension SSHPatternList {
  fileprivate var canonicalDescription: String {
    let patterns = Set(patterns.map { Array($0.utf8) })
    return patterns.sorted { $0.lexicographicallyPrecedes($1) }
      .map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",")
  }
}
