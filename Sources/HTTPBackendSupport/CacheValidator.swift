package import DesiredState
import DesiredStateSupport
import HTTPTransport
package import HTTPTypes

/// What a server gave to ask again by (RFC 9110 section 8.8), bound to the revision it was given with.
///
/// As a marker it outlives a restart. A device that asks as if it had nothing sends no condition.
package struct CacheValidator: Sendable, Equatable {
  package enum Kind: String, Sendable {
    case entityTag = "etag"
    case lastModified = "last-modified"
  }

  package var revision: Revision
  package var kind: Kind
  /// As it came, and as it is sent back: nothing in it is interpreted.
  package var value: String

  /// Files change within the second that their date, and the ETag that many servers make of it, can tell: a validator
  /// that young may go on to stand for something else (RFC 9110 section 8.8.2.2), so there is none yet.
  private static let settling = 2

  /// A longer tag is not sent back: a server that gives one it does not take would never be heard again.
  private static let longestTag = 1024

  /// The validator of an answer; nil if it has none, or none that can be relied on yet.
  package init?(_ fields: HTTPFields, revision: Revision) {
    guard let (kind, value) = Self.settled(fields) else { return nil }
    self.revision = revision
    self.kind = kind
    self.value = value
  }

  /// The entity tag of an answer, from a server that makes it of the content: then its date does not matter.
  package init?(entityTagOf fields: HTTPFields, revision: Revision) {
    guard let tag = fields[.eTag], !tag.isEmpty, tag.utf8.count <= Self.longestTag else { return nil }
    self.revision = revision
    kind = .entityTag
    value = tag
  }

  /// What tells an answer's content from other content at the same address; nil if nothing does yet.
  package static func settled(_ fields: HTTPFields) -> (Kind, String)? {
    if let modified = fields[.lastModified].flatMap(HTTPDate.secondsSince1970) {
      guard let date = fields[.date].flatMap(HTTPDate.secondsSince1970), date - modified >= settling else { return nil }
    }
    if let tag = fields[.eTag], !tag.isEmpty, tag.utf8.count <= longestTag { return (.entityTag, tag) }
    return fields[.lastModified].map { (.lastModified, $0) }
  }

  /// Reads a marker; nil if it cannot be read, or stands for another revision than the device has.
  package init?(marker: Substring.UTF8View?, current: Revision?) {
    guard let current, let rest = marker?.after("\(current) ") else { return nil }
    let kindEnd = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
    guard let kind = Kind(rawValue: String(rest[..<kindEnd]) ?? ""),
      let value = String(rest[kindEnd...].dropFirst()), !value.isEmpty
    else { return nil }
    revision = current
    self.kind = kind
    self.value = value
  }

  /// What the store keeps: `<revision> etag "…"`.
  package var marker: String { "\(revision) \(kind.rawValue) \(value)" }

  /// The field that makes a request conditional (RFC 9110 section 13.1).
  package var condition: HTTPField {
    switch kind {
    case .entityTag: HTTPField(name: .ifNoneMatch, value: value)
    case .lastModified: HTTPField(name: .ifModifiedSince, value: value)
    }
  }
}
