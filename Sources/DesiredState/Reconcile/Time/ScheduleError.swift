/// A time of a ``Schedule`` cannot be used.
public struct ScheduleError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The text is not of the form that is read.
    public static let malformed = Code(rawValue: "malformed")
    /// The device knows no time zone of that name.
    public static let unknownZone = Code(rawValue: "unknown-zone")
  }

  /// What kind of trouble.
  public let code: Code
  /// The fault, and what to write instead, in words. Text from outside is made safe to show.
  public let message: String
  /// What caused it, if another error did.
  public let underlying: (any Error)?

  init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.underlying = underlying
  }

  public var description: String { message }
}
