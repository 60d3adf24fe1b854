import RawStructuredFieldValues

/// One part of a message that a signature covers: a field, or something derived from the message (RFC 9421 section 2).
public struct HTTPSignatureComponent: Sendable, Hashable, CustomStringConvertible {
  /// As it stands in `Signature-Input`: the order of its parameters is the signer's.
  let item: Item

  /// `"@method"` (section 2.2.1).
  public static let method = HTTPSignatureComponent("@method")
  /// `"@target-uri"` (section 2.2.2).
  public static let targetURI = HTTPSignatureComponent("@target-uri")
  /// `"@authority"` (section 2.2.3).
  public static let authority = HTTPSignatureComponent("@authority")
  /// `"@scheme"` (section 2.2.4).
  public static let scheme = HTTPSignatureComponent("@scheme")
  /// `"@request-target"` (section 2.2.5).
  public static let requestTarget = HTTPSignatureComponent("@request-target")
  /// `"@path"` (section 2.2.6).
  public static let path = HTTPSignatureComponent("@path")
  /// `"@query"` (section 2.2.7).
  public static let query = HTTPSignatureComponent("@query")
  /// `"@status"` (section 2.2.9).
  public static let status = HTTPSignatureComponent("@status")

  /// `"@query-param";name="…"` (section 2.2.8), by its percent-encoded name.
  public static func queryParameter(_ name: String) -> HTTPSignatureComponent {
    HTTPSignatureComponent("@query-param", [("name", .string(name))])
  }

  /// A header field (section 2.1), by its name in any case.
  public static func field(_ name: String) -> HTTPSignatureComponent { HTTPSignatureComponent(name.lowercased()) }

  /// A field as it serializes strictly: `;sf` (section 2.1.1).
  public static func structuredField(_ name: String) -> HTTPSignatureComponent {
    HTTPSignatureComponent(name.lowercased(), [("sf", .bool(true))])
  }

  /// One member of a dictionary field: `;key="…"` (section 2.1.2).
  public static func member(_ key: String, ofField name: String) -> HTTPSignatureComponent {
    HTTPSignatureComponent(name.lowercased(), [("key", .string(key))])
  }

  /// A field whose lines are wrapped one by one: `;bs` (section 2.1.3).
  public static func wrappedField(_ name: String) -> HTTPSignatureComponent {
    HTTPSignatureComponent(name.lowercased(), [("bs", .bool(true))])
  }

  /// The same of the request that a response answers: `;req` (section 2.4).
  public var ofRequest: HTTPSignatureComponent {
    var parameters = item.rfc9651Parameters
    parameters["req"] = .bool(true)
    return HTTPSignatureComponent(item: Item(bareItem: item.rfc9651BareItem, parameters: parameters))
  }

  private init(_ name: String, _ parameters: [(String, RFC9651BareItem)] = []) {
    var map = OrderedMap<String, RFC9651BareItem>()
    for (key, value) in parameters { map[key] = value }
    item = Item(bareItem: .string(name), parameters: map)
  }

  init(item: Item) { self.item = item }

  /// The name without parameters: in lower case for a field.
  public var name: String { if case .string(let name) = item.rfc9651BareItem { name } else { "" } }

  func flag(_ name: String) -> Bool { if case .bool(true) = item.rfc9651Parameters[name] { true } else { false } }

  func text(_ name: String) -> String? {
    if case .string(let text) = item.rfc9651Parameters[name] { text } else { nil }
  }

  /// `"name";parameters`, as in the signature base.
  public var description: String {
    var serializer = StructuredFieldValueSerializer()
    return (try? serializer.writeItemFieldValue(item)).map { String(decoding: $0, as: UTF8.self) } ?? name
  }

  /// Two identifiers are the same whatever the order of their parameters (section 2).
  public static func == (left: Self, right: Self) -> Bool { left.identity == right.identity }
  public func hash(into hasher: inout Hasher) { hasher.combine(identity) }

  private var identity: [String] {
    [name]
      + item.rfc9651Parameters.map { key, value in
        let single = HTTPSignatureComponent("", [(key, value)])
        return single.description
      }.sorted()
  }
}
