import DesiredStateSupport

/// Signs receipts with a key of the device's own: a share, a stick or a branch to which others can write cannot speak
/// for the device then.
///
/// A signature is one that `ssh-keygen -Y sign -n desired-state-receipt` makes. It is made once for each receipt, also
/// if the receipt has to be delivered several times: a hardware key wants to be touched only once.
public final class ReceiptSigner: Sendable {
  /// The namespace of signatures over receipts (PROTOCOL.sshsig). A key may speak for a device only if its line in the
  /// allowed signers names this namespace, and the device as a principal.
  public static let namespace = "desired-state-receipt"

  private let sign: @Sendable ([UInt8]) async throws -> [UInt8]
  private let made = LockedValue<[(receipt: Digest, signature: [UInt8])]>([])
  private static let remembered = 256

  /// - Parameter sign: makes an armored SSH signature in ``namespace`` over the bytes it is given.
  public init(_ sign: @escaping @Sendable ([UInt8]) async throws -> [UInt8]) { self.sign = sign }

  /// The armored signature over a receipt's bytes.
  ///
  /// - Throws: ``BackendError`` with `unauthorized` if it cannot be made now; `CancellationError`.
  func signature(over bytes: [UInt8]) async throws -> [UInt8] {
    let digest = Digest.of(bytes)
    if let known = made.withLock({ $0.first { $0.receipt == digest } }) { return known.signature }
    let signature: [UInt8]
    do {
      signature = try await sign(bytes)
    } catch {
      if error is CancellationError { throw error }
      // It may pass: an agent that is not running yet, a token that is not plugged in.
      throw BackendError(
        .unauthorized, "the receipt could not be signed, and waits in the outbox: \(error)", isRetryable: true,
        underlying: error)
    }
    made.withLock { made in
      made.append((digest, signature))
      if made.count > Self.remembered { made.removeFirst() }
    }
    return signature
  }
}
