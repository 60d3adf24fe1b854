import DesiredStateSupport
public import FoundationEssentials

/// Where a state came from, in its source's own terms: recorded with the adopted state, shown in events and in
/// `status`, and sent with every acknowledgement, so that an orchestrator can say which commit each device runs.
///
/// Nothing here is trusted, and nothing is decided by it. Text from outside is made safe to show and cut at a length.
public struct Origin: Sendable, Hashable, Codable {
  /// The path on this device's disk.
  public let path: String?
  /// The URL that answered, without its query.
  public let url: String?
  /// The entity tag the server gave (RFC 9110 section 8.8.3).
  public let entityTag: String?
  /// The Git reference that was followed, by its full name.
  public let reference: String?
  /// The Git commit id, in hexadecimal.
  public let commit: String?
  /// The commit's author, as `Name <mail>`.
  public let author: String?
  /// The first line of the commit's message.
  public let subject: String?
  /// When the source says that the state was made: a commit's time, `Last-Modified`, a file's modification time.
  public let time: Date?

  /// An origin with the parts that its source knows.
  public init(
    path: String? = nil, url: String? = nil, entityTag: String? = nil, reference: String? = nil,
    commit: String? = nil, author: String? = nil, subject: String? = nil, time: Date? = nil
  ) {
    func shown(_ text: String?) -> String? { text.map { printable($0, limit: 1024) } }
    self.path = shown(path)
    self.url = shown(url)
    self.entityTag = shown(entityTag)
    self.reference = shown(reference)
    self.commit = shown(commit)
    self.author = shown(author)
    self.subject = shown(subject)
    // RFC 3339 has years of four digits; another time could not be written down.
    self.time = time.flatMap { (-62_135_596_800..<253_402_300_800).contains($0.timeIntervalSince1970) ? $0 : nil }
  }
}

extension Origin: CustomStringConvertible {
  /// `commit 1a2b3c4d5e6f "Speed up" by Ops <ops@plant.example> on refs/heads/main, 2026-11-22T10:00:00Z`
  public var description: String {
    var parts: [String] = []
    if let commit { parts.append("commit \(commit.prefix(12))") }
    if let subject { parts.append(quoted(subject)) }
    if let author { parts.append("by \(author)") }
    if let reference { parts.append("on \(reference)") }
    if let path { parts.append(path) }
    if let url { parts.append(url) }
    if let entityTag { parts.append("ETag \(entityTag)") }
    let text = parts.joined(separator: " ")
    guard let time else { return text }
    return text.isEmpty ? Timestamp.text(time) : "\(text), \(Timestamp.text(time))"
  }
}
