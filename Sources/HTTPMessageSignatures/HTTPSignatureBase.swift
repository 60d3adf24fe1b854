import RawStructuredFieldValues

/// The exact bytes that are signed (RFC 9421 section 2.5).
struct HTTPSignatureBase {
  let components: [HTTPSignatureComponent]
  /// The covered components with the signature's parameters: the value of `@signature-params`, and the member of
  /// `Signature-Input`.
  let input: InnerList

  init(_ components: [HTTPSignatureComponent], _ parameters: HTTPSignatureParameters) {
    var list = BareInnerList()
    for component in components { list.append(component.item) }
    self.components = components
    input = InnerList(bareInnerList: list, parameters: parameters.map)
  }

  /// From a received `Signature-Input`, in which every order is the signer's.
  init(input: InnerList) throws(HTTPSignatureError) {
    self.input = input
    var components: [HTTPSignatureComponent] = []
    for item in input.bareInnerList {
      guard case .string(let name) = item.rfc9651BareItem, !name.isEmpty, name != "@signature-params",
        name == name.lowercased()
      else { throw HTTPSignatureError(.malformed, "the signature covers something that is not a component") }
      components.append(HTTPSignatureComponent(item: item))
    }
    guard Set(components).count == components.count else {
      throw HTTPSignatureError(.malformed, "the signature covers a component twice")
    }
    self.components = components
  }

  /// The inner list as it stands in both places.
  func serializedInput() throws(HTTPSignatureError) -> String {
    do {
      return try StructuredFields.serialize { try $0.writeListFieldValue([.innerList(input)]) }
    } catch {
      throw HTTPSignatureError(.malformed, "a component or parameter has characters that no field may have")
    }
  }

  func bytes(of message: HTTPSignedMessage) throws(HTTPSignatureError) -> [UInt8] {
    var base = ""
    for component in components {
      let value = try message.value(of: component)
      guard value.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else {
        throw HTTPSignatureError(.component, "\(component) has a value outside ASCII; it can be covered with bs only")
      }
      base += "\(component): \(value)\n"
    }
    return Array((base + "\"@signature-params\": \(try serializedInput())").utf8)
  }
}
