import Foundation
import HTTPTypes
import Testing

@testable import HTTPMessageSignatures

/// Every example of RFC 9421 Appendix B.2: the signature base to the byte, and the published signature.
@Suite struct RFC9421ExampleTests {
  static let requestDigest =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
  static let responseDigest =
    "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:"

  static var request: HTTPRequest {
    HTTPRequest(
      method: .post, scheme: "https", authority: "example.com", path: "/foo?param=Value&Pet=dog",
      headerFields: [
        .date: "Tue, 20 Apr 2021 02:07:55 GMT", .contentType: "application/json",
        HTTPField.Name("Content-Digest")!: requestDigest, .contentLength: "18",
      ])
  }

  static var response: HTTPResponse {
    HTTPResponse(
      status: .ok,
      headerFields: [
        .date: "Tue, 20 Apr 2021 02:07:56 GMT", .contentType: "application/json",
        HTTPField.Name("Content-Digest")!: responseDigest, .contentLength: "23",
      ])
  }

  struct Example: Sendable, CustomTestStringConvertible {
    var label: String
    var isResponse = false
    var input: String
    var signature: String
    var key: HTTPVerificationKey
    /// The lines before the last one.
    var base: [String]
    var testDescription: String { label }

    var message: HTTPSignedMessage {
      var fields: HTTPFields = [:]
      fields[.signatureInput] = "\(label)=\(input)"
      fields[.signature] = "\(label)=:\(signature):"
      if isResponse {
        var response = RFC9421ExampleTests.response
        response.headerFields.append(contentsOf: fields)
        return .response(response, to: nil)
      }
      var request = RFC9421ExampleTests.request
      request.headerFields.append(contentsOf: fields)
      return .request(request)
    }
  }

  static func pss() -> HTTPVerificationKey { try! HTTPVerificationKey(pem: RFC9421Keys.rsaPSS, rsa: .rsaPSSSHA512) }

  static let examples: [Example] = [
    Example(
      label: "sig-b21", input: #"();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
      signature:
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
      key: pss(), base: []),
    Example(
      label: "sig-b22",
      input:
        #"("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
      signature:
        "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
      key: pss(),
      base: [
        #""@authority": example.com"#, #""content-digest": \#(requestDigest)"#, #""@query-param";name="Pet": dog"#,
      ]),
    Example(
      label: "sig-b23",
      input:
        #"("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
      signature:
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
      key: pss(),
      base: [
        #""date": Tue, 20 Apr 2021 02:07:55 GMT"#, #""@method": POST"#, #""@path": /foo"#,
        #""@query": ?param=Value&Pet=dog"#, #""@authority": example.com"#, #""content-type": application/json"#,
        #""content-digest": \#(requestDigest)"#, #""content-length": 18"#,
      ]),
    Example(
      label: "sig-b24", isResponse: true,
      input:
        #"("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256""#,
      signature: "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
      key: try! HTTPVerificationKey(pem: RFC9421Keys.p256),
      base: [
        #""@status": 200"#, #""content-type": application/json"#, #""content-digest": \#(responseDigest)"#,
        #""content-length": 23"#,
      ]),
    Example(
      label: "sig-b25", input: #"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
      signature: "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
      key: HTTPVerificationKey(sharedSecret: RFC9421Keys.sharedSecret),
      base: [
        #""date": Tue, 20 Apr 2021 02:07:55 GMT"#, #""@authority": example.com"#, #""content-type": application/json"#,
      ]),
    Example(
      label: "sig-b26",
      input:
        #"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
      signature: "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
      key: try! HTTPVerificationKey(pem: RFC9421Keys.ed25519),
      base: [
        #""date": Tue, 20 Apr 2021 02:07:55 GMT"#, #""@method": POST"#, #""@path": /foo"#,
        #""@authority": example.com"#, #""content-type": application/json"#, #""content-length": 18"#,
      ]),
  ]

  static let time = Date(timeIntervalSince1970: 1_618_884_480)

  @Test(arguments: examples) func `the signature base is the published one`(example: Example) throws {
    guard case .innerList(let list)? = try StructuredFields.dictionary("x=\(example.input)")["x"] else {
      Issue.record("no inner list")
      return
    }
    let base = try HTTPSignatureBase(input: list).bytes(of: example.message)
    let expected = (example.base + [#""@signature-params": \#(example.input)"#]).joined(separator: "\n")
    #expect(String(decoding: base, as: UTF8.self) == expected)
  }

  @Test(arguments: examples) func `the published signature counts`(example: Example) throws {
    let verified = try example.message.verifySignature(.init(components: []), at: Self.time) { _ in example.key }
    #expect(verified.label == example.label)
    #expect(verified.parameters.created == Date(timeIntervalSince1970: 1_618_884_473))
  }

  @Test(arguments: examples) func `with one bit changed the published signature does not count`(example: Example) throws
  {
    var changed = example
    var bytes = Array(Data(base64Encoded: example.signature)!)
    bytes[bytes.count / 2] ^= 1
    changed.signature = Data(bytes).base64EncodedString()
    let error = #expect(throws: HTTPSignatureError.self) {
      try changed.message.verifySignature(.init(components: []), at: Self.time) { _ in example.key }
    }
    #expect(error?.code == .invalid)
  }

  @Test func `the deterministic examples are made to the byte`() throws {
    var request = Self.request
    try request.sign(
      [.field("Date"), .authority, .field("content-type")],
      parameters: .init(created: Date(timeIntervalSince1970: 1_618_884_473), keyID: "test-shared-secret"),
      with: HTTPSigningKey(sharedSecret: RFC9421Keys.sharedSecret), label: "sig-b25")
    #expect(request.headerFields[.signatureInput] == "sig-b25=\(Self.examples[4].input)")
    #expect(request.headerFields[.signature] == "sig-b25=:\(Self.examples[4].signature):")
    request = Self.request
    try request.sign(
      [.field("date"), .method, .path, .authority, .field("content-type"), .field("content-length")],
      parameters: .init(created: Date(timeIntervalSince1970: 1_618_884_473), keyID: "test-key-ed25519"),
      with: try HTTPSigningKey(pem: RFC9421Keys.ed25519Private), label: "sig-b26")
    #expect(request.headerFields[.signatureInput] == "sig-b26=\(Self.examples[5].input)")
    #expect(request.headerFields[.signature] == "sig-b26=:\(Self.examples[5].signature):")
  }

  @Test func `the examples' bodies have the digests of their fields`() throws {
    try HTTPContentDigest.verify(Self.requestDigest, of: Array(#"{"hello": "world"}"#.utf8))
    try HTTPContentDigest.verify(Self.responseDigest, of: Array(#"{"message": "good dog"}"#.utf8))
    #expect(HTTPContentDigest.field(of: Array(#"{"hello": "world"}"#.utf8), [.sha512]) == Self.requestDigest)
    // RFC 9530 Appendix D.
    #expect(
      HTTPContentDigest.field(of: Array("{\"hello\": \"world\"}\n".utf8))
        == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:")
    #expect(throws: HTTPSignatureError.self) {
      try HTTPContentDigest.verify(Self.requestDigest, of: Array(#"{"hello": "World"}"#.utf8))
    }
    #expect(throws: HTTPSignatureError.self) { try HTTPContentDigest.verify("md5=:AAAA:", of: []) }
    #expect(throws: HTTPSignatureError.self) { try HTTPContentDigest.verify("sha-256=17", of: []) }
  }
}
