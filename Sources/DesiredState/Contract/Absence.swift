import DesiredStateSupport

/// A source was reached and publishes nothing: which part is missing, and what an operator can do about it.
public struct Absence: Sendable, Hashable, Codable, CustomStringConvertible {
  /// Which part is missing. Open: a backend may add its own.
  public struct Part: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The branch or tag does not exist.
    public static let reference = Part(rawValue: "reference")
    /// The reference exists, the directory in it does not.
    public static let path = Part(rawValue: "path")
    /// The place exists, the manifest is not there.
    public static let manifest = Part(rawValue: "manifest")
    /// The place exists and holds no document, on a source that has no manifests.
    public static let documents = Part(rawValue: "documents")
  }

  /// Which part is missing.
  public let part: Part
  /// The missing part and the remedy, in words. Text from outside in it is made safe to show.
  public let reason: String

  /// The absence of a part, and the reason.
  public init(_ part: Part, _ reason: String) {
    self.part = part
    self.reason = printable(reason)
  }

  public var description: String { reason }
}
