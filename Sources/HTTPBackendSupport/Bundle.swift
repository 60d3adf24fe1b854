package import DesiredState
import DesiredStateSupport
import DropArchive
import Glibc
package import HTTPTransport

/// A bundle: all documents of a state in one archive, the cheaper way where many are missing.
///
/// Its bytes and its contents are held in memory until they are read, so only small bundles are used.
package struct Bundle: Sendable {
  /// The bytes of the archive, and of the documents in it.
  private static let largest = 16 << 20
  private static let fewestDocuments = 8

  package var reference: StateManifest.BundleReference
  package var address: HTTPAddress

  package init(_ reference: StateManifest.BundleReference, at address: HTTPAddress) {
    self.reference = reference
    self.address = address
  }

  /// Whether one archive is the cheaper way to these documents of so many. Sizes are the publisher's word: they decide
  /// about the way, and nothing else.
  static func isWorthwhile(_ reference: StateManifest.BundleReference, for missing: [DocumentReference], of all: Int)
    -> Bool
  {
    let size: UInt64 = missing.reduce(0) { $0.addingReportingOverflow($1.advisorySize ?? 0).partialValue }
    return missing.count >= fewestDocuments && missing.count * 2 >= all && size <= largest
      && reference.advisorySize ?? 0 <= largest
  }

  /// The documents in the bundle, by their digests: the names in it say nothing that their digests do not.
  ///
  /// - Throws: whatever keeps it from being used; documents can still be fetched one by one.
  func documents(over client: SourceClient, limits: Limits) async throws -> [Digest: [UInt8]] {
    guard
      let answer = try await client.get(
        address, "the bundle", limit: Self.largest, deadline: .now + .seconds(86400))
    else { throw VerificationError(.documentMissing, "the bundle is not at \(address)") }
    guard Digest.of(answer.body) == reference.digest else {
      throw VerificationError(.digestMismatch, "the bundle at \(address) is not the one the manifest names")
    }
    let name = "\(address)"
    return try await Worker("desired-state.bundle").run { try Self.unpack(answer.body, name: name, limits: limits) }
  }

  private static func unpack(_ archive: [UInt8], name: String, limits: Limits) throws -> [Digest: [UInt8]] {
    let reader = try TarReader(SharedFile(OpenFile.inMemory(archive, called: name)), limits: limits)
    var documents: [Digest: [UInt8]] = [:]
    var size = 0
    while let entry = try reader.next() {
      guard !entry.isDirectory else { continue }
      guard let bytes = try reader.read(limit: largest - size) else {
        throw VerificationError(.limitExceeded, "\(name) unpacks to more than \(largest) bytes")
      }
      size += bytes.count
      documents[Digest.of(bytes)] = bytes
    }
    return documents
  }
}
