/// The store cannot be used, or not for this.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// Another process has the store.
    case locked
    /// A record of the store cannot be read.
    case damaged
    /// A document's bytes are gone or are not what was adopted; they will be fetched again.
    case documentDamaged
    /// The directory is not a store.
    case notAStore
  }

  public let code: Code
  /// What happened and what to do about it.
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
