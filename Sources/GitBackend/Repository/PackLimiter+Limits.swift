import DesiredState

extension PackLimiter.Bounds {
  /// What a state within these limits can need.
  init(_ limits: Limits) {
    // libgit2 holds an object in memory as a whole.
    let largest: UInt64 = 512 << 20
    objectSize = min(largest, max(limits.documentSize, UInt64(limits.manifestSize), UInt64(limits.evidenceSize)))
    totalSize = min(8 << 30, limits.totalSize) + UInt64(limits.manifestSize)
    packSize = totalSize
    objectCount = UInt32(clamping: 10 * limits.documentCount + 10_000)
  }

  /// What a history of commits can need, and no document: the rest of the pack is not read.
  static let ofHistory = {
    var bounds = PackLimiter.Bounds(Limits())
    // Objects that are not read may have any size, and the pack of them, too.
    bounds.objectSize = 1 << 40
    bounds.totalSize = 1 << 50
    bounds.objectCount = .max
    bounds.packSize = 64 << 20
    return bounds
  }()

  /// The bytes that a delta may make before a signature is trusted: base and result are in memory at once.
  static let untrustedDeltaSize: UInt64 = 64 << 20
}
