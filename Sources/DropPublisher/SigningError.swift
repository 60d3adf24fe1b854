import DesiredStateSupport

/// A manifest or a commit could not be signed; nothing was published.
public struct SigningError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble. Open: a signer may add its own.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The program that signs is not installed, or cannot be run.
    public static let programMissing = Code(rawValue: "program-missing")
    /// The program that signs did not sign: a wrong passphrase, no such key, a token that was not touched.
    public static let refused = Code(rawValue: "refused")
  }

  /// What kind of trouble.
  public let code: Code
  /// What happened and what to do about it, in words. Text from outside in it is made safe to show.
  public let message: String
  /// What caused it, if another error did.
  public let underlying: (any Error)?

  /// An error with this code.
  public init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
    self.code = code
    self.message = printable(message)
    self.underlying = underlying
  }

  public var description: String { message }
}
