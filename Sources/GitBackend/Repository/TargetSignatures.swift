/// What a commit, and the annotated tag that leads to it, are signed with.
struct TargetSignatures: Sendable {
  let commit: ObjectID
  /// Of the tag, if it stands under its own name, and of the commit.
  private(set) var signatures: [ObjectSignature] = []
  /// The name of a tag that does not stand under its own name.
  private(set) var misplacedTag: String?
  /// The signature of the tag, and when it was made, in seconds since 1970.
  private(set) var tag: (signature: ObjectSignature, time: Int64)?

  /// - Parameters:
  ///   - tags: the tags on the way, the outermost first, with their contents.
  ///   - reference: the full name under which the target was found. A tag says its own name, and the
  ///     server can put it under another one.
  init(tags: [(id: ObjectID, content: [UInt8])], commit: (id: ObjectID, content: [UInt8]), reference: String) {
    self.commit = commit.id
    for (number, tag) in tags.enumerated() {
      let name = Self.field("tag", in: tag.content)
      if number == 0, reference.hasPrefix("refs/tags/"), reference != "refs/tags/\(name)" { misplacedTag = name }
      // A tag of a tag is signed as a tag; the inner one stands under no name, and counts for nothing.
      guard number == 0, reference == "refs/tags/\(name)" else { continue }
      guard let signature = ObjectSignature(ofTag: tag.id, tag.content) else { continue }
      signatures.append(signature)
      self.tag = (signature, Self.time(in: tag.content))
    }
    if let signature = ObjectSignature(ofCommit: commit.id, commit.content) { signatures.append(signature) }
  }

  /// A field of the header of a commit or a tag: the first one of this name.
  static func field(_ name: String, in content: [UInt8]) -> String {
    for line in content.split(separator: 10, omittingEmptySubsequences: false) {
      guard !line.isEmpty else { break }
      if line.starts(with: "\(name) ".utf8) {
        return String(decoding: line.dropFirst(name.utf8.count + 1), as: UTF8.self)
      }
    }
    return ""
  }

  /// `tagger Name <mail> 1700000000 +0000`
  private static func time(in content: [UInt8]) -> Int64 {
    field("tagger", in: content).split(separator: " ").dropLast().last.flatMap { Int64($0) } ?? 0
  }
}
