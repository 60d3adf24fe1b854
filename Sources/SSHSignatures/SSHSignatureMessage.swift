import Crypto
import DesiredStateSupport
import FoundationEssentials

extension SSHSignature {
  /// A message that signatures are checked against.
  ///
  /// It is hashed once for each algorithm that they use, however many there are.
  public final class Message: Sendable {
    private let bytes: [UInt8]
    private let digests = LockedValue<[HashAlgorithm: [UInt8]]>([:])

    /// The message with these bytes. An array is not copied.
    public init(_ bytes: some Collection<UInt8>) {
      self.bytes = Array(bytes)
    }

    func digest(_ algorithm: HashAlgorithm) -> [UInt8] {
      digests.withLock { digests in
        if let known = digests[algorithm] { return known }
        let digest =
          switch algorithm {
          case .sha256: Array(SHA256.hash(data: bytes))
          case .sha512: Array(SHA512.hash(data: bytes))
          }
        digests[algorithm] = digest
        return digest
      }
    }
  }
}
