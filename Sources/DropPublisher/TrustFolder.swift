import DesiredState
import DesiredStateSupport
import Glibc

/// The trust updates of a drop on a disk.
struct TrustFolder: Sendable {
  private let root: String

  init(_ root: String) { self.root = root }

  /// The number of the newest update that is there with its signatures, without a gap before it; nil if there is none.
  func newest() throws -> UInt64? {
    var number: UInt64 = 0
    while FileStatus(at: Files.join(root, DropLayout.trustUpdate(number + 1)))?.isRegular == true,
      FileStatus(at: Files.join(root, DropLayout.trustSignatures(number + 1)))?.isRegular == true
    { number += 1 }
    return number == 0 ? nil : number
  }

  func update(_ number: UInt64) throws -> TrustUpdate {
    let bytes = try bytes(at: DropLayout.trustUpdate(number))
    do throws(VerificationError) {
      return try TrustUpdate(parsing: bytes)
    } catch {
      throw PublicationError(.unreadable, "trust update \(number) in \(root) \(error.reason)")
    }
  }

  func bytes(at path: String) throws -> [UInt8] {
    let path = Files.join(root, path)
    guard let bytes = try Files.read(path, limit: TrustUpdate.maximumSize) else {
      throw PublicationError(.unreadable, "\(path) is longer than \(TrustUpdate.maximumSize) bytes")
    }
    return bytes
  }

  /// The signatures first: an update without them is not there yet.
  func write(_ update: [UInt8], _ signatures: [UInt8], number: UInt64) throws {
    try Files.createDirectories(Files.join(root, DropLayout.trust))
    try Files.replace(Files.join(root, DropLayout.trustSignatures(number)), with: signatures)
    try Files.replace(Files.join(root, DropLayout.trustUpdate(number)), with: update)
    try Files.synchronizeDirectory(root)
  }
}
