import DesiredStateSupport
public import FoundationEssentials

/// Who may sign what, and from when to when: an OpenSSH `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS).
///
/// The file is read as `ssh-keygen -Y verify` reads it, with one difference: a line that ssh-keygen would skip with a
/// complaint makes the whole file refused here, because whoever wrote it meant something by it. Certificate
/// authorities are refused for now.
public struct AllowedSigners: Sendable {
  /// A line of the file: a key and what it may sign.
  public struct Entry: Sendable {
    /// The number of the line, from 1.
    public let line: Int
    /// Who the key belongs to.
    public let principals: SSHPatternList
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

  private let entriesByKey: [SSHPublicKey: [Entry]]

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

  /// Whether a key may sign in a namespace.
  public enum Trust: Hashable, Sendable {
    /// It may. `principals` are the patterns of every line that allows it, as they are written, each once.
    case trusted(principals: [String])
    /// It may not.
    case untrusted(reason: UntrustedReason)
  }

  /// Why a key may not sign. Where several lines have the key, the reason of the line that comes closest.
  public enum UntrustedReason: Hashable, Sendable {
    /// No line has the key.
    case keyNotListed
    /// The key may sign, but not in this namespace.
    case namespaceNotAllowed
    /// The key will be trusted from this second on.
    case notYetValid(from: Date)
    /// The key was trusted up to this second.
    case expired(after: Date)
  }

  /// Whether a key may sign in a namespace at a time; one line that allows it is enough.
  ///
  /// As for ssh-keygen, time passes in whole seconds, and a key is trusted at the second of `valid-after`, at that of
  /// `valid-before`, and between them.
  public func trust(of key: SSHPublicKey, namespace: String, at time: Date) -> Trust {
    guard let candidates = entriesByKey[key] else { return .untrusted(reason: .keyNotListed) }
    let inNamespace = candidates.filter { $0.namespaces?.matches(namespace) ?? true }
    guard !inNamespace.isEmpty else { return .untrusted(reason: .namespaceNotAllowed) }
    // As numbers: a clock that shows no number is before and after nothing, which `Date` compares otherwise.
    let second = time.timeIntervalSince1970.rounded(.down)
    func hasBegun(_ entry: Entry) -> Bool { entry.validAfter.map { $0.timeIntervalSince1970 <= second } ?? true }
    func hasNotEnded(_ entry: Entry) -> Bool { entry.validBefore.map { second <= $0.timeIntervalSince1970 } ?? true }
    let valid = inNamespace.filter { hasBegun($0) && hasNotEnded($0) }
    guard valid.isEmpty else {
      var seen: Set<String> = []
      return .trusted(principals: valid.flatMap(\.principals.patterns).filter { seen.insert($0).inserted })
    }
    if let from = inNamespace.filter({ !hasBegun($0) }).compactMap(\.validAfter).min() {
      return .untrusted(reason: .notYetValid(from: from))
    }
    return .untrusted(reason: .expired(after: inNamespace.compactMap(\.validBefore).max() ?? .distantPast))
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
    var options: [String] = []
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

extension AllowedSigners.UntrustedReason: CustomStringConvertible {
  /// What is wrong and what to do about it, as the end of a sentence about the key.
  public var description: String {
    switch self {
    case .keyNotListed:
      "is not listed in the allowed signers"
    case .namespaceNotAllowed:
      "is listed in the allowed signers, but its namespaces= does not have this namespace"
    case .notYetValid(let date):
      "is listed in the allowed signers, but only from \(date.formatted(.iso8601)) on (valid-after=)"
    case .expired(let date):
      "is listed in the allowed signers, but only up to \(date.formatted(.iso8601)) (valid-before=)"
    }
  }
}
