public import HTTPTypes
import RawStructuredFieldValues

extension HTTPRequest {
  /// Signs the request: adds a member to `Signature-Input` and `Signature` (RFC 9421 section 3.1).
  ///
  /// - Throws: ``HTTPSignatureError`` if a component is not there, or the key cannot sign.
  public mutating func sign(
    _ components: [HTTPSignatureComponent], parameters: HTTPSignatureParameters, with key: HTTPSigningKey,
    label: String = "sig1"
  ) throws(HTTPSignatureError) {
    let base = HTTPSignatureBase(components, parameters)
    try headerFields.addSignature(base, over: .request(self), with: key, label: label)
  }
}

extension HTTPResponse {
  /// Signs the response to a request, whose components are covered by ``HTTPSignatureComponent/ofRequest``.
  ///
  /// - Throws: ``HTTPSignatureError``.
  public mutating func sign(
    _ components: [HTTPSignatureComponent], parameters: HTTPSignatureParameters, with key: HTTPSigningKey,
    label: String = "sig1", answering request: HTTPRequest? = nil
  ) throws(HTTPSignatureError) {
    let base = HTTPSignatureBase(components, parameters)
    try headerFields.addSignature(base, over: .response(self, to: request), with: key, label: label)
  }
}

extension HTTPFields {
  fileprivate mutating func addSignature(
    _ base: HTTPSignatureBase, over message: HTTPSignedMessage, with key: HTTPSigningKey, label: String
  ) throws(HTTPSignatureError) {
    let signature = try key.sign(try base.bytes(of: message))
    append(HTTPField(name: .signatureInput, value: "\(label)=\(try base.serializedInput())"))
    append(HTTPField(name: .signature, value: "\(label)=:\(base64(signature)):"))
  }
}

extension HTTPField.Name {
  // Both are registered names, which are valid.
  static let signatureInput = HTTPField.Name("Signature-Input")!
  static let signature = HTTPField.Name("Signature")!
}
