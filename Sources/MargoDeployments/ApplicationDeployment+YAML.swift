public import MargoDocuments
import Yams

extension ApplicationDeployment {
  /// Values in one document; more are refused, so that aliases cannot make a small text large.
  private static let largest = 100_000

  /// Reads a deployment from YAML, and checks it against the specification.
  ///
  /// Scalars are read by the core schema of YAML 1.2: `yes` and `on` are texts, a time is a text.
  ///
  /// - Throws: `MargoDocumentError`: `malformed` for a text that is no YAML, has a key twice, or is more than one document;
  ///   `invalid` with every member that is wrong.
  public init(yaml bytes: [UInt8]) throws(MargoDocumentError) {
    try self.init(try Self.value(ofYAML: bytes))
  }

  /// A YAML document as a value.
  static func value(
    ofYAML bytes: [UInt8], in subject: String = "the deployment"
  ) throws(MargoDocumentError) -> JSONValue {
    func malformed(_ message: String, _ error: (any Error)? = nil) -> MargoDocumentError {
      MargoDocumentError(.malformed, subject, [.init(field: "", message: message)], underlying: error)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed("it is not UTF-8") }
    let nodes: [Node]
    do {
      nodes = Array(try Yams.compose_all(yaml: text))
    } catch {
      throw malformed("\(error)", error)
    }
    guard nodes.count == 1, let node = nodes.first else {
      throw malformed("it has \(nodes.count) documents, and has to have one")
    }
    var count = 0
    do {
      return try value(of: node, &count)
    } catch {
      throw malformed(error.message)
    }
  }

  private struct Fault: Error {
    var message: String
  }

  private static func value(of node: Node, _ count: inout Int) throws(Fault) -> JSONValue {
    count += 1
    guard count <= largest else { throw Fault(message: "it has more than \(largest) values") }
    switch node {
    case .scalar(let scalar):
      return scalar.style == .plain || scalar.style == .any ? plain(scalar.string) : .string(scalar.string)
    case .sequence(let sequence):
      var elements: [JSONValue] = []
      for element in sequence { elements.append(try value(of: element, &count)) }
      return .array(elements)
    case .mapping(let mapping):
      var members: [String: JSONValue] = [:]
      for (key, member) in mapping {
        guard case .scalar(let name) = key else { throw Fault(message: "a key is no text") }
        guard members.updateValue(try value(of: member, &count), forKey: name.string) == nil else {
          throw Fault(message: "a key is there twice")
        }
      }
      return .object(members)
    case .alias: throw Fault(message: "an alias leads nowhere")
    }
  }

  /// The core schema (YAML 1.2.2 section 10.3.2).
  private static func plain(_ text: String) -> JSONValue {
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .boolean(true)
    case "false", "False", "FALSE": return .boolean(false)
    default: break
    }
    if text.wholeMatch(of: #/[-+]?[0-9]+/#) != nil, let value = Int64(text) { return .integer(value) }
    if text.wholeMatch(of: #/[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?/#) != nil, let value = Double(text),
      value.isFinite
    {
      return .number(value)
    }
    return .string(text)
  }
}
