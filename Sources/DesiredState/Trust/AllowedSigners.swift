import FoundationEssentials
// stub until the real one is merged
public struct AllowedSigners: Sendable {
  public init(parsing text: String) throws {}
  public var canonicalDescription: String { "" }
}
extension Verifier {
  public func signers(of message: [UInt8], signatures: [[UInt8]], namespace: String) throws(VerificationError) -> [Signer] { [] }
}
