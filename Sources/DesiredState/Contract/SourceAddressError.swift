import DesiredStateSupport

/// A source's address, or a setting for it, cannot be used.
public struct SourceAddressError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble. Open: a backend may add its own.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The address, or a setting, is not of the form that its backend reads.
    public static let malformed = Code(rawValue: "malformed")
    /// No backend serves the address's scheme.
    public static let unserved = Code(rawValue: "unserved")
  }

  /// What kind of trouble.
  public let code: Code
  /// The fault, and what to write instead, in words. The address itself is not repeated: it may hold a password. Text
  /// from outside is made safe to show.
  public let message: String
  /// What caused it, if another error did.
  public let underlying: (any Error)?

  /// An error with a message; by default of an address that cannot be read.
  public init(_ message: String, code: Code = .malformed, underlying: (any Error)? = nil) {
    self.code = code
    self.message = printable(message)
    self.underlying = underlying
  }

  public var description: String { message }
}
