/// A file of the outbox: the newest acknowledgement about a subject, and the changes before it that are still to be told in order.
struct OutboxEntry: Sendable, Equatable, Codable {
  /// Changes before the newest that are kept for a recipient that wants each: as many as a document has states, and two
  /// more. The oldest go first.
  static let earlierLimit = 8

  var newest: Acknowledgement
  var earlier: [Acknowledgement] = []

  /// What waits, oldest first.
  var acknowledgements: [Acknowledgement] { earlier + [newest] }

  init(_ newest: Acknowledgement) { self.newest = newest }

  /// Takes a newer acknowledgement, beside the one before if that told of another state.
  mutating func put(_ acknowledgement: Acknowledgement, keepingChanges: Bool) {
    if !keepingChanges {
      earlier = []
    } else if acknowledgement.id != newest.id, !newest.tellsTheSameState(as: acknowledgement) {
      earlier = (earlier + [newest]).suffix(Self.earlierLimit)
    }
    newest = acknowledgement
  }

  /// The entry without an acknowledgement; nil if that was all.
  func removing(_ id: String) -> OutboxEntry? {
    var rest = self
    if newest.id == id {
      guard let last = rest.earlier.popLast() else { return nil }
      rest.newest = last
    } else {
      rest.earlier.removeAll { $0.id == id }
    }
    return rest
  }

  // The newest acknowledgement is the file's own object, so that each file is an acknowledgement to a reader that knows no more.

  private enum CodingKeys: String, CodingKey { case earlier }

  init(from decoder: any Decoder) throws {
    newest = try Acknowledgement(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    earlier = try container.decodeIfPresent([Acknowledgement].self, forKey: .earlier) ?? []
  }

  func encode(to encoder: any Encoder) throws {
    try newest.encode(to: encoder)
    guard !earlier.isEmpty else { return }
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(earlier, forKey: .earlier)
  }
}

extension Acknowledgement {
  /// Whether both are about documents in the same state, component by component, under the same version.
  fileprivate func tellsTheSameState(as other: Acknowledgement) -> Bool {
    guard case .document(let mine) = outcome, case .document(let theirs) = other.outcome else { return true }
    return mine.state == theirs.state && mine.device == theirs.device
      && mine.components.map(\.name) == theirs.components.map(\.name)
      && mine.components.map(\.state) == theirs.components.map(\.state)
      && adoptedManifestVersion == other.adoptedManifestVersion
  }
}
