import DesiredStateSupport
package import FoundationEssentials
import SSHSignatures

/// The N-th change of what a device trusts, `trust/<N>.json`: who may sign from now on, and whose keys are revoked.
///
/// It is signed in the namespace `desired-state-trust` by enough keys of the trust before it and by enough keys of its
/// own, as The Update Framework rotates its root role. The trust that a device is set up with has number 0.
package struct TrustUpdate: Sendable, Equatable {
  /// `trustVersion`: its number, from 1, without gaps.
  package var version: UInt64
  /// `threshold`: how many distinct keys must sign a manifest.
  package var threshold: Int
  /// `trustThreshold`: how many distinct keys must sign the next update, and have signed this one.
  package var trustThreshold: Int
  /// `allowedSigners`: the text of an OpenSSH `allowed_signers` file, which takes the place of the one before.
  package var allowedSigners: String
  /// `revoked`: keys that must not count any more, one a line as in a `.pub` file; they take the place of those before.
  package var revoked: String
  /// `issued`: when it was made, for people to read.
  package var issued: Date?

  /// The namespace of signatures over updates (PROTOCOL.sshsig). A key may sign them only if its line in the allowed
  /// signers names this namespace.
  package static let namespace = "desired-state-trust"
  /// The longest update that is read, in bytes.
  package static let maximumSize = 1 << 20
  /// How many updates are read at one poll; a device that is further behind goes on at the next one.
  package static let maximumCount: UInt64 = 64

  /// A trust update of these parts.
  package init(
    version: UInt64, threshold: Int = 1, trustThreshold: Int = 1, allowedSigners: String, revoked: String = "",
    issued: Date? = nil
  ) {
    self.version = version
    self.threshold = threshold
    self.trustThreshold = trustThreshold
    self.allowedSigners = allowedSigners
    self.revoked = revoked
    self.issued = issued
  }

  /// Reads an update; keys that are not known here are ignored, as in a manifest.
  ///
  /// - Throws: ``VerificationError`` with `trust-invalid`, whose reason is the end of a sentence about the update.
  package init(parsing bytes: [UInt8]) throws(VerificationError) {
    self.init(version: 0, threshold: 0, trustThreshold: 0, allowedSigners: "")
    var hasSigners = false
    do throws(JSONReader.Failure) {
      var reader = try JSONReader(bytes)
      try reader.object { reader, key throws(JSONReader.Failure) in
        switch key {
        case "trustVersion": version = try reader.unsignedInteger()
        case "threshold": threshold = try Self.count(from: &reader)
        case "trustThreshold": trustThreshold = try Self.count(from: &reader)
        case "allowedSigners":
          allowedSigners = try reader.string()
          hasSigners = true
        case "revoked": revoked = try reader.isNull() ? "" : reader.string()
        case "issued":
          guard try !reader.isNull() else { return }
          guard let time = Timestamp.parse(try reader.string()) else {
            throw reader.failure("it is not an RFC 3339 date and time")
          }
          issued = time
        default: try reader.skip()
        }
      }
      try reader.end()
      guard version > 0 else { throw reader.failure("'trustVersion' is missing or 0") }
      guard threshold > 0, trustThreshold > 0 else {
        throw reader.failure("'threshold' or 'trustThreshold' is missing")
      }
      guard hasSigners else { throw reader.failure("'allowedSigners' is missing") }
    } catch {
      throw VerificationError(.trustInvalid, "cannot be read: \(error)")
    }
    _ = try keys()
  }

  private static func count(from reader: inout JSONReader) throws(JSONReader.Failure) -> Int {
    let count = try reader.unsignedInteger()
    guard (1...1000).contains(count) else { throw reader.failure("a threshold is from 1 to 1000") }
    return Int(count)
  }

  /// The update as JSON, keys in a fixed order.
  package func encoded() -> [UInt8] {
    var text = "{\n  \"trustVersion\": \(version),\n  \"threshold\": \(threshold),\n"
    text += "  \"trustThreshold\": \(trustThreshold),\n  \"allowedSigners\": \(JSON.quoted(allowedSigners)),\n"
    text += "  \"revoked\": \(JSON.quoted(revoked))"
    if let issued { text += ",\n  \"issued\": \"\(Timestamp.text(issued))\"" }
    return Array((text + "\n}\n").utf8)
  }

  /// The keys in it, ready to be asked.
  ///
  /// - Throws: ``VerificationError`` with `trust-invalid`.
  func keys() throws(VerificationError) -> TrustedKeys {
    do {
      return TrustedKeys(
        allowedSigners: try AllowedSigners(parsing: allowedSigners),
        revoked: revoked.isEmpty ? [] : [try RevokedKeys(parsing: revoked.utf8)], threshold: threshold,
        trustThreshold: trustThreshold)
    } catch {
      throw VerificationError(.trustInvalid, "has keys that cannot be read: \(error)")
    }
  }
}

/// Keys, what they may sign and how many of them must.
struct TrustedKeys: Sendable {
  var allowedSigners: AllowedSigners
  var revoked: [RevokedKeys]
  var threshold: Int
  var trustThreshold: Int
}
