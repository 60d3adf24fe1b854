import DesiredStateSupport

/// Nothing was published; an earlier publication still stands.
public struct PublicationError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble. Open: later versions may add their own.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The options contradict each other, or an earlier publication.
    public static let options = Code(rawValue: "options")
    /// A document cannot be published: a link, a device, a file that changes while it is read.
    public static let document = Code(rawValue: "document")
    /// Another publisher works on the same drop.
    public static let busy = Code(rawValue: "busy")
    /// The published state cannot be read.
    public static let unreadable = Code(rawValue: "unreadable")
    /// The signer gave no signature: a wrong passphrase, no such key, a token that was not touched, a program that is not
    /// installed.
    public static let unsigned = Code(rawValue: "unsigned")
    /// What is to be published again, or signed as well, is not signed by a key that may.
    public static let untrusted = Code(rawValue: "untrusted")
  }

  /// What kind of trouble.
  public let code: Code
  /// The fault and the remedy, in words. Text from outside in it is made safe to show.
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
