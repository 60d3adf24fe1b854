import Testing

@testable import SSHSignatures

/// No signature holds after a change to it, and no bytes from outside stop the program.
@Suite("Tampered SSH signatures")
struct SSHSignatureTamperingTests {
  private let message = Array("desired state".utf8)

  /// Every byte, with each single bit flipped and one more random change.
  @Test(arguments: SSHKeygen.keyKinds)
  func `A signature with any byte changed does not hold`(kind: String) throws {
    let keygen = try SSHKeygen()
    let blob = try dearmor(keygen.sign(message, with: try keygen.makeKey(kind)))
    #expect(holds(blob))
    try expectNoTamperedCopyHolds(blob)
  }

  @Test(arguments: SoftwareSecurityKey.Kind.allCases)
  func `A security key's signature with any byte changed does not hold`(kind: SoftwareSecurityKey.Kind) throws {
    let blob = try dearmor(SoftwareSecurityKey(kind).sign(message))
    #expect(holds(blob))
    try expectNoTamperedCopyHolds(blob)
  }

  @Test func `A signature with bytes taken out, put in or moved does not hold`() throws {
    let keygen = try SSHKeygen()
    var generator = SeededGenerator(state: 2)
    for kind in ["ed25519", "ecdsa-256", "rsa-2048"] {
      let blob = try dearmor(keygen.sign(message, with: try keygen.makeKey(kind)))
      for _ in 0..<500 {
        var tampered = blob
        for _ in 0...Int.random(in: 0..<3, using: &generator) {
          let index = Int.random(in: 0..<tampered.count, using: &generator)
          switch Int.random(in: 0..<4, using: &generator) {
          case 0: tampered.remove(at: index)
          case 1: tampered.insert(UInt8.random(in: 0...255, using: &generator), at: index)
          case 2: tampered.swapAt(index, Int.random(in: 0..<tampered.count, using: &generator))
          default: tampered.removeSubrange(index..<min(index + 4, tampered.count))
          }
          if tampered.isEmpty { break }
        }
        if tampered != blob {
          #expect(!holds(tampered), "seed 2, \(kind): \(tampered)")
        }
      }
    }
  }

  @Test func `A file with any bit changed holds the same signature or none that holds`() throws {
    let keygen = try SSHKeygen()
    let armored = try keygen.sign(message, with: try keygen.makeKey("ecdsa-256"))
    let original = try SSHSignature(blob: dearmor(armored))
    for index in armored.indices {
      for bit in 0..<8 {
        var tampered = armored
        tampered[index] ^= 1 << UInt8(bit)
        let signatures = (try? SSHSignature.parse(armored: tampered)) ?? []
        for signature in signatures where signature.isValid(for: message, namespace: "desired-state") {
          // Only the last line end was changed: to something behind the signature, or to white space.
          #expect(signature.signature == original.signature && index == armored.count - 1, "byte \(index), bit \(bit)")
        }
      }
    }
  }

  @Test func `Random bytes are no signature and no key`() {
    var generator = SeededGenerator(state: 3)
    for _ in 0..<5_000 {
      let count = Int.random(in: 0..<200, using: &generator)
      // Mostly small numbers, so that lengths make sense now and then.
      let bytes = (0..<count).map { _ in
        UInt8.random(in: 0...255, using: &generator) & (Bool.random(using: &generator) ? 0xff : 0x0f)
      }
      #expect(!holds(Array("SSHSIG".utf8) + [0, 0, 0, 1] + bytes))
      #expect(throws: SSHPublicKeyError.self) { try SSHPublicKey(blob: bytes) }
    }
  }

  private func expectNoTamperedCopyHolds(_ blob: [UInt8]) throws {
    var generator = SeededGenerator(state: 1)
    // An RSA key costs more; one flipped bit in each of its many bytes says as much.
    let bits = blob.count > 500 ? 1 : 8
    for index in blob.indices {
      let flips = (0..<bits).map { UInt8(1) << UInt8(($0 + index) % 8) }
      let changes = flips + [UInt8.random(in: 1...255, using: &generator)]
      for change in changes {
        var tampered = blob
        tampered[index] ^= change
        #expect(!holds(tampered), "byte \(index) changed by \(change)")
      }
    }
    for count in blob.indices {
      #expect(!holds(Array(blob.prefix(count))), "cut to \(count) bytes")
    }
    #expect(!holds(blob + [0]))
  }

  private func holds(_ blob: [UInt8]) -> Bool {
    guard let signature = try? SSHSignature(blob: blob) else { return false }
    return signature.isValid(for: message, namespace: "desired-state")
  }
}

/// SplitMix64: the same numbers at every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}
