import DesiredStateSupport

/// The store cannot be used, or not for this.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble. Open: later versions may add their own.
  public struct Code: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// Another process has the store.
    public static let locked = Code(rawValue: "locked")
    /// A record of the store is gone, or cannot be read. A damaged store is never taken for a new one.
    public static let damaged = Code(rawValue: "damaged")
    /// The record is of a version that this program does not read.
    public static let wrongFormat = Code(rawValue: "wrong-format")
    /// A document's bytes are gone or wrong; they will be fetched again.
    public static let documentDamaged = Code(rawValue: "document-damaged")
    /// The directory is not a store.
    public static let notAStore = Code(rawValue: "not-a-store")
    /// Something in the store is of the wrong kind, or belongs to another user.
    public static let wrongType = Code(rawValue: "wrong-type")
    /// A new record could not be read back, or is too large.
    public static let notStorable = Code(rawValue: "not-storable")
    /// The state that was asked for is not among those kept.
    public static let notKept = Code(rawValue: "not-kept")
  }

  /// What kind of trouble.
  public let code: Code
  /// What happened and what to do about it, in words. Text from outside in it is made safe to show.
  public let message: String
  /// What caused it, if another error did.
  public let underlying: (any Error)?

  init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
    self.code = code
    self.message = printable(message)
    self.underlying = underlying
  }

  public var description: String { "\(code): \(message)" }
}
