import Glibc

/// Decides when files (or directories) that are renewed while they are in use are read again: when one of them has changed, which is looked
/// at every 100 ms at most, however many ask.
package struct FileWatch: Sendable {
  private static let shortestInterval = Duration.milliseconds(100)

  private let paths: [String]
  private var lookedAt: ContinuousClock.Instant?
  /// As the files were when they were read last; nil before that.
  private var read: [String]?

  package init(_ paths: [String]) { self.paths = paths }

  /// What tells the files as they are now from those that were read last; nil if there is no reason to read them. Give it to
  /// ``didRead(_:)`` when they were read and made sense: until then they are read whenever they are asked for.
  ///
  /// Looked at before the files are read, so that one that changes meanwhile is another at the next look.
  package mutating func changed(at now: ContinuousClock.Instant = .now) -> [String]? {
    if read != nil, paths.isEmpty { return nil }
    if let lookedAt, now - lookedAt < Self.shortestInterval { return nil }
    lookedAt = now
    let found = paths.map(Self.fingerprint)
    return found == read ? nil : found
  }

  private static func fingerprint(_ path: String) -> String {
    var buffer = stat()
    // Where a symbolic link leads: secrets are often renewed by turning one.
    return stat(path, &buffer) == 0 ? FileStatus(buffer).fingerprint : ""
  }

  /// The files were read when they were as a ``changed(at:)`` told.
  package mutating func didRead(_ found: [String]) { read = found }

  /// Forgets when the files were looked at last.
  package mutating func lookAgain() { lookedAt = nil }
}
