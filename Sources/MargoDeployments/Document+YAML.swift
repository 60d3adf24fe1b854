public import DesiredState
import DesiredStateSupport
public import FoundationEssentials
import MargoDocuments

extension Document {
  /// The document as a value of a type, from YAML: one document, read by the core schema of YAML 1.2.
  ///
  /// It is in memory as a whole. Aliases cannot make a small text large.
  ///
  /// - Parameters:
  ///   - type: the type to decode.
  ///   - decoder: reads the same values as JSON, with the strategies that the document's publisher keeps to.
  ///   - limit: the longest document that is read, in bytes.
  /// - Throws: `MargoDocumentError` with `malformed` for a text that is no YAML; `DecodingError`; `VerificationError` with
  ///   `limit-exceeded`; as `contents()` does.
  public func decodeYAML<Value: Decodable>(
    _ type: Value.Type = Value.self, using decoder: JSONDecoder = JSONDecoder(), limit: Int = 16 << 20
  ) async throws -> Value {
    let value = try ApplicationDeployment.value(ofYAML: try await contents(limit: limit), in: "document \(quoted(id))")
    return try decoder.decode(type, from: try JSONEncoder().encode(value))
  }
}
