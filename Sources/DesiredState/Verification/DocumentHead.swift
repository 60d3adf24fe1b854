/// The first bytes of a document, digested: what is here of one that broke off.
struct DocumentHead {
  private(set) var hasher = Digest.Hasher()
  /// How many bytes they are.
  private(set) var count: UInt64 = 0

  mutating func add(_ bytes: [UInt8]) {
    hasher.update(bytes)
    count += UInt64(bytes.count)
  }
}
