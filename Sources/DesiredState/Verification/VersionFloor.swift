/// The highest version a device has adopted: no state below it is ever adopted again.
public struct VersionFloor: Sendable, Equatable, Codable {
  /// The version.
  public var version: UInt64
  /// Which state had that version.
  public var revision: Revision

  /// A floor at this version.
  public init(version: UInt64, revision: Revision) {
    self.version = version
    self.revision = revision
  }
}
