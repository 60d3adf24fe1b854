import Foundation
import Testing

@testable import SSHSignatures

/// Project Wycheproof's vectors (github.com/C2SP/wycheproof, Apache-2.0), which are not kept here: `WYCHEPROOF` in the
/// environment names the folder with them, `testvectors_v1`.
@Suite("Wycheproof", .enabled(if: ProcessInfo.processInfo.environment["WYCHEPROOF"] != nil))
struct WycheproofTests {
  private struct File: Decodable {
    struct Group: Decodable {
      struct Key: Decodable {
        var pk: String?
        var uncompressed: String?
      }
      struct Case: Decodable {
        var tcId: Int
        var comment: String
        var msg: String
        var sig: String
        var result: String
      }
      var publicKey: Key
      var tests: [Case]
    }
    var testGroups: [Group]
  }

  private static func bytes(_ text: String) -> [UInt8] {
    stride(from: 0, to: text.count, by: 2).compactMap { UInt8(text.dropFirst($0).prefix(2), radix: 16) }
  }

  @Test(
    "Every vector has the verdict that it names",
    arguments: [
      ("ed25519_test", "ssh-ed25519"), ("ecdsa_secp256r1_sha256_p1363_test", "ecdsa-sha2-nistp256"),
      ("ecdsa_secp384r1_sha384_p1363_test", "ecdsa-sha2-nistp384"),
      ("ecdsa_secp521r1_sha512_p1363_test", "ecdsa-sha2-nistp521"),
    ])
  func verdicts(name: String, type: String) throws {
    let folder = try #require(ProcessInfo.processInfo.environment["WYCHEPROOF"])
    let file = try JSONDecoder().decode(
      File.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name).json")))
    var count = [true: 0, false: 0]
    for group in file.testGroups {
      let text = Array(type.utf8)
      let key =
        if let point = group.publicKey.uncompressed {
          try SSHPublicKey(blob: sshStrings(text, Array(type.suffix(8).utf8), Self.bytes(point)))
        } else {
          try SSHPublicKey(blob: sshStrings(text, Self.bytes(try #require(group.publicKey.pk))))
        }
      let size = type.hasSuffix("256") ? 32 : type.hasSuffix("384") ? 48 : 66
      for vector in group.tests {
        let raw = Self.bytes(vector.sig)
        let value =
          type == "ssh-ed25519" || raw.count != 2 * size
          ? raw : sshStrings(multiplePrecisionInteger(raw[..<size]), multiplePrecisionInteger(raw[size...]))
        let signature = sshStrings(text, value)
        let isValid = (try? key.verify(signature[...], of: Self.bytes(vector.msg))) != nil
        #expect(isValid == (vector.result == "valid"), "\(name) \(vector.tcId): \(vector.comment)")
        count[isValid, default: 0] += 1
      }
    }
    print("\(name): \(count[true] ?? 0) valid, \(count[false] ?? 0) invalid")
  }
}
