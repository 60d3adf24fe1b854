import Crypto
import Foundation
import Testing

@testable import SSHSignatures

/// The corners of Ed25519 and ECDSA in which implementations part, derived by computation, with ssh-keygen as the judge.
@Suite("Signatures at the edges of their mathematics")
struct SignatureEdgeCaseTests {
  private let message = Array("desired state".utf8)
  private let keygen: SSHKeygen

  init() throws { keygen = try SSHKeygen() }

  /// What is signed for a message (PROTOCOL.sshsig section 3).
  private var signedData: [UInt8] {
    var data = Array("SSHSIG".utf8)
    data += sshStrings(Array("desired-state".utf8), [], Array("sha512".utf8), Array(SHA512.hash(data: message)))
    return data
  }

  private func judge(
    _ count: inout DifferentialCount, _ name: String, key: [UInt8], type: String, value: [UInt8]
  ) throws {
    let blob = signatureBlob(publicKey: key, signature: sshStrings(Array(type.utf8), value))
    let line = "alice \(type) \(Data(key).base64EncodedString())\n"
    var refusal: String?
    do {
      let signers = try AllowedSigners(parsing: line)
      let signature = try SSHSignature(blob: blob)
      try signature.verify(SSHSignature.Message(message), namespace: "desired-state")
      guard case .trusted = signers.trust(of: signature, namespace: "desired-state", at: Date()) else {
        throw SSHSignatureError.malformed("is by a key that is not listed")
      }
    } catch {
      refusal = "\(error)"
    }
    count.add(
      "\(type), \(name)", refusal: refusal,
      sshKeygenAccepts: try keygen.verifies(
        armor(blob), of: message, allowedSigners: line, principal: "alice", namespace: "desired-state"),
      intended: { $0.contains("shortest form") ? "numbers that are not in their shortest form" : nil })
  }

  // MARK: - Numbers, big-endian

  private func sum(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    var (result, carry): ([UInt8], Int) = ([], 0)
    for index in 0..<max(left.count, right.count) + 1 {
      func digit(_ number: [UInt8]) -> Int { index < number.count ? Int(number[number.count - 1 - index]) : 0 }
      let value = digit(left) + digit(right) + carry
      result.insert(UInt8(value & 0xff), at: 0)
      carry = value >> 8
    }
    return Array(result.drop { $0 == 0 })
  }

  private func difference(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    var (result, borrow): ([UInt8], Int) = ([], 0)
    for index in 0..<left.count {
      let value = Int(left[left.count - 1 - index]) - borrow
      let other = index < right.count ? Int(right[right.count - 1 - index]) : 0
      result.insert(UInt8(truncatingIfNeeded: value - other), at: 0)
      borrow = value < other ? 1 : 0
    }
    return Array(result.drop { $0 == 0 })
  }

  private func hexadecimal(_ text: String) -> [UInt8] {
    stride(from: 0, to: text.count, by: 2).map {
      UInt8(text.dropFirst($0).prefix(2), radix: 16)!
    }
  }

  // MARK: - Ed25519

  @Test("Ed25519: numbers beyond the order, keys of small order, other lengths") func edwards() throws {
    let key = Curve25519.Signing.PrivateKey()
    let type = "ssh-ed25519"
    func blob(_ point: [UInt8]) -> [UInt8] { sshStrings(Array(type.utf8), point) }
    let own = blob(Array(key.publicKey.rawRepresentation))
    let good = Array(try key.signature(for: signedData))
    // RFC 8032 section 5.1: the order of the base point, 2^252 + 27742317777372353535851937790883648493.
    let order = hexadecimal("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")
    func scalar(_ bytes: [UInt8]) -> [UInt8] { Array((Array(repeating: 0, count: 32 - bytes.count) + bytes).reversed()) }
    let s = Array(good[32...].reversed())
    var count = DifferentialCount()
    try judge(&count, "as it should be", key: own, type: type, value: good)
    try judge(&count, "S + L", key: own, type: type, value: good[..<32] + scalar(sum(s, order)))
    try judge(&count, "S + 2L", key: own, type: type, value: good[..<32] + scalar(sum(sum(s, order), order)))
    try judge(&count, "L - S", key: own, type: type, value: good[..<32] + scalar(difference(order, s)))
    try judge(&count, "S = L", key: own, type: type, value: good[..<32] + scalar(order))
    try judge(&count, "S = 0", key: own, type: type, value: good[..<32] + scalar([]))
    try judge(&count, "R = 0", key: own, type: type, value: scalar([]) + good[32...])
    var flipped = good
    flipped[31] ^= 0x80
    let values: [(String, [UInt8])] = [
      ("all zero", [UInt8](repeating: 0, count: 64)), ("all ones", [UInt8](repeating: 0xff, count: 64)),
      ("63 bytes", Array(good.dropLast())), ("65 bytes", good + [0]), ("no bytes", []), ("twice", good + good),
      ("halves swapped", Array(good[32...] + good[..<32])), ("R of the other sign", flipped),
    ]
    for (name, value) in values { try judge(&count, name, key: own, type: type, value: value) }
    // Points of order 1, 2, 4 and 8, and encodings of them that are not the canonical ones: whoever lists such a key
    // lists one by which everybody can sign.
    let small = [
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "0100000000000000000000000000000000000000000000000000000000000080",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ].map(hexadecimal)
    for point in small {
      try judge(&count, "small key \(point[0])", key: blob(point), type: type, value: good)
      for other in small {
        try judge(
          &count, "small key \(point[0]) \(point[31]), R \(other[0]) \(other[31])", key: blob(point), type: type,
          value: other + scalar([]))
      }
      try judge(&count, "R of small order \(point[0])", key: own, type: type, value: point + good[32...])
    }
    count.report("Ed25519 at its edges")
  }

  // MARK: - ECDSA

  private struct Curve {
    let name: String
    let order: String
    let key: [UInt8]
    let signature: [UInt8]
  }

  private func curves() throws -> [Curve] {
    let (small, middle, large) = (P256.Signing.PrivateKey(), P384.Signing.PrivateKey(), P521.Signing.PrivateKey())
    // SEC 2, sections 2.4.2, 2.5.1 and 2.6.1: the orders n.
    return [
      Curve(
        name: "nistp256", order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        key: Array(small.publicKey.x963Representation),
        signature: Array(try small.signature(for: signedData).rawRepresentation)),
      Curve(
        name: "nistp384",
        order:
          "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        key: Array(middle.publicKey.x963Representation),
        signature: Array(try middle.signature(for: signedData).rawRepresentation)),
      Curve(
        name: "nistp521",
        order:
          "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        key: Array(large.publicKey.x963Representation),
        signature: Array(try large.signature(for: signedData).rawRepresentation)),
    ]
  }

  @Test("ECDSA: numbers at and beyond the order, of either sign, and in other forms") func weierstrass() throws {
    var count = DifferentialCount()
    for curve in try curves() {
      let type = "ecdsa-sha2-\(curve.name)"
      let key = sshStrings(Array(type.utf8), Array(curve.name.utf8), curve.key)
      let order = hexadecimal(curve.order)
      let half = curve.signature.count / 2
      let (r, s) = (Array(curve.signature[..<half].drop { $0 == 0 }), Array(curve.signature[half...].drop { $0 == 0 }))
      func pair(_ r: [UInt8], _ s: [UInt8]) -> [UInt8] {
        sshStrings(multiplePrecisionInteger(r), multiplePrecisionInteger(s))
      }
      let one: [UInt8] = [1]
      let values: [(String, [UInt8])] = [
        ("as it should be", pair(r, s)), ("n - s", pair(r, difference(order, s))),
        ("n - r", pair(difference(order, r), s)), ("r + n", pair(sum(r, order), s)), ("s + n", pair(r, sum(s, order))),
        ("r = 0", pair([], s)), ("s = 0", pair(r, [])), ("both 0", pair([], [])), ("both 1", pair(one, one)),
        ("r = n", pair(order, s)), ("s = n", pair(r, order)), ("both n", pair(order, order)),
        ("r = n - 1", pair(difference(order, one), s)), ("s = n - 1", pair(r, difference(order, one))),
        ("n + 1", pair(sum(order, one), sum(order, one))), ("swapped", pair(s, r)),
        ("r alone", sshStrings(multiplePrecisionInteger(r))),
        ("three numbers", pair(r, s) + sshStrings(one)),
        ("zeros before r", sshStrings([0, 0] + multiplePrecisionInteger(r), multiplePrecisionInteger(s))),
        ("negative r", sshStrings([0xff] + r, multiplePrecisionInteger(s))),
        ("r of 1000 bytes", pair([1] + [UInt8](repeating: 0, count: 999), s)),
        ("raw", curve.signature), ("nothing", []),
      ]
      for (name, value) in values { try judge(&count, name, key: key, type: type, value: value) }
    }
    count.report("ECDSA at its edges")
  }
}
