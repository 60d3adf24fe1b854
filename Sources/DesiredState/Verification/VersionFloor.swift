/// The highest version a device has adopted: no state below it is ever adopted again.
package struct VersionFloor: Sendable, Equatable, Codable {
  /// The version.
  package var version: UInt64
  /// Which state had that version.
  package var revision: Revision

  /// A floor at this version.
  package init(version: UInt64, revision: Revision) {
    self.version = version
    self.revision = revision
  }
}
