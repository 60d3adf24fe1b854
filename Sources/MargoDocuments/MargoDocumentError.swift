import DesiredStateSupport

/// A document that is not as the Margo specification has it, with everything that is wrong with it.
public struct MargoDocumentError: Error, Sendable, CustomStringConvertible {
  /// The kind of fault. Open: documents of other kinds may add theirs.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// It is not JSON, or not YAML.
    public static let malformed = Code(rawValue: "malformed")
    /// It can be read, and breaks rules of the specification.
    public static let invalid = Code(rawValue: "invalid")
  }

  /// One member that is wrong.
  public struct Fault: Sendable, Hashable, CustomStringConvertible {
    /// Where it is: `properties.cpus[0].cores`; empty for the whole.
    public var field: String
    /// The rule that it breaks.
    public var message: String
    /// Both, in words.
    public var description: String { field.isEmpty ? message : "\(field) \(message)" }

    /// A fault; text from outside is made safe to show.
    public init(field: String, message: String) {
      self.field = printable(field, limit: 120)
      self.message = printable(message, limit: 300)
    }
  }

  /// The kind of fault.
  public var code: Code
  /// The document's name: "the capabilities".
  public var document: String
  /// Each member that is wrong.
  public var faults: [Fault]
  /// What caused it, if another error did.
  public var underlying: (any Error)?

  /// An error about a document.
  public init(_ code: Code, _ document: String, _ faults: [Fault], underlying: (any Error)? = nil) {
    self.code = code
    self.document = document
    self.faults = faults
    self.underlying = underlying
  }

  /// Every fault, in words.
  public var message: String {
    "\(document) cannot be \(code == .malformed ? "read" : "used"): "
      + faults.map(\.description).joined(separator: "; ")
  }

  public var description: String { "\(code): \(message)" }
}
