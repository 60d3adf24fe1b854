import Crypto
import CryptoExtras
import Foundation
import HTTPTypes
import Testing

@testable import HTTPMessageSignatures

@Suite struct SignatureTests {
  static let now = Date(timeIntervalSince1970: 1_700_000_000)
  static let keys: [HTTPSigningKey] = [
    try! HTTPSigningKey(pem: P256.Signing.PrivateKey().pemRepresentation),
    try! HTTPSigningKey(pem: P384.Signing.PrivateKey().pemRepresentation),
    try! HTTPSigningKey(pem: RFC9421Keys.ed25519Private),
    try! HTTPSigningKey(pem: _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation),
    try! HTTPSigningKey(
      pem: _RSA.Signing.PrivateKey(keySize: .bits2048).pkcs8PEMRepresentation, rsa: .rsaPSSSHA512),
  ]

  private func request(_ path: String = "/api/v1?x=1") -> HTTPRequest {
    HTTPRequest(
      method: .post, scheme: "https", authority: "Fleet.example:443", path: path,
      headerFields: [HTTPField.Name("Content-Digest")!: HTTPContentDigest.field(of: [])])
  }

  private let components: [HTTPSignatureComponent] = [.method, .targetURI, .field("Content-Digest")]

  private func signed(
    by key: HTTPSigningKey, created: Date? = now, expires: Date? = nil, algorithm: String? = nil, tag: String? = nil
  ) throws -> HTTPRequest {
    var request = request()
    try request.sign(
      components,
      parameters: .init(created: created, expires: expires, keyID: "k", algorithm: algorithm, tag: tag), with: key)
    return request
  }

  private func code(
    _ request: HTTPRequest, by key: HTTPSigningKey, _ requirements: HTTPSignatureRequirements? = nil,
    label: String? = nil, at now: Date = now
  ) throws -> HTTPSignatureError.Code? {
    let publicKey = try HTTPVerificationKey(pem: key.publicKeyPEM!, rsa: key.algorithm)
    do throws(HTTPSignatureError) {
      _ = try HTTPSignedMessage.request(request).verifySignature(
        requirements ?? .init(components: components), label: label, at: now
      ) { $0.keyID == "k" ? publicKey : nil }
      return nil
    } catch {
      return error.code
    }
  }

  @Test(arguments: keys) func `what one signs the other accepts, and nothing else`(key: HTTPSigningKey) throws {
    let request = try signed(by: key)
    #expect(try code(request, by: key) == nil)
    var other = request
    other.method = .put
    #expect(try code(other, by: key) == .invalid)
    other = request
    other.path = "/api/v1?x=2"
    #expect(try code(other, by: key) == .invalid)
    other = request
    other.headerFields[HTTPField.Name("Content-Digest")!] = HTTPContentDigest.field(of: [1])
    #expect(try code(other, by: key) == .invalid)
    // An algorithm that the message claims counts for nothing against the key's own.
    #expect(try code(signed(by: key, algorithm: "none"), by: key) == .key)
    #expect(try code(signed(by: key, algorithm: key.algorithm.rawValue), by: key) == nil)
    #expect("\(key)".contains("private key for"))
  }

  @Test func `a signature counts in its time only`() throws {
    let key = Self.keys[0]
    let request = try signed(by: key)
    #expect(try code(request, by: key, at: Self.now + 300) == nil)
    #expect(try code(request, by: key, at: Self.now + 361) == .time)
    #expect(try code(request, by: key, at: Self.now - 61) == .time)
    #expect(try code(signed(by: key, expires: Self.now + 10), by: key, at: Self.now + 71) == .time)
    #expect(try code(signed(by: key, created: nil), by: key) == .time)
    #expect(
      try code(signed(by: key, created: nil), by: key, .init(components: components, maximumAge: nil)) == nil)
  }

  @Test func `what has to be covered has to be covered`() throws {
    let key = Self.keys[0]
    let request = try signed(by: key, tag: "a")
    #expect(try code(request, by: key, .init(components: [.method, .authority])) == .insufficient)
    #expect(try code(request, by: key, .init(components: components, tag: "a")) == nil)
    #expect(try code(request, by: key, .init(components: components, tag: "b")) == .insufficient)
    #expect(try code(request, by: key, label: "sig2") == .missing)
    #expect(try code(self.request(), by: key) == .missing)
  }

  @Test func `of several signatures one that meets the requirements is enough`() throws {
    var request = try signed(by: Self.keys[1])
    try request.sign(components, parameters: .init(created: Self.now, keyID: "k"), with: Self.keys[0], label: "sig2")
    #expect(try code(request, by: Self.keys[0]) == nil)
    #expect(try code(request, by: Self.keys[1]) == nil)
    #expect(try code(request, by: Self.keys[2]) == .invalid)
  }

  @Test(arguments: [
    ("sig1=1", "sig1=:AAAA:"), ("sig1=()", "sig1=()"), ("sig1=()", "sig2=:AAAA:"), (#"sig1=("Date")"#, "sig1=:AAAA:"),
    (#"sig1=("date" "date")"#, "sig1=:AAAA:"), (#"sig1=("@signature-params")"#, "sig1=:AAAA:"), ("((", "sig1=:AAAA:"),
    ("sig1=();created=\"x\"", "sig1=:AAAA:"), ("sig1=(1)", "sig1=:AAAA:"),
  ])
  func `what cannot be read does not count`(input: String, signature: String) throws {
    var request = request()
    request.headerFields[.signatureInput] = input
    request.headerFields[.signature] = signature
    #expect(try code(request, by: Self.keys[0], .init(components: [], maximumAge: nil)) == .malformed)
  }

  @Test func `a response is bound to the request that it answers`() throws {
    let key = Self.keys[2]
    let publicKey = try HTTPVerificationKey(pem: key.publicKeyPEM!)
    let request = try signed(by: key)
    var response = HTTPResponse(status: .ok)
    let components: [HTTPSignatureComponent] = [
      .status, HTTPSignatureComponent.method.ofRequest,
      HTTPSignatureComponent.member("sig1", ofField: "signature").ofRequest,
    ]
    try response.sign(components, parameters: .init(created: Self.now), with: key, answering: request)
    let requirements = HTTPSignatureRequirements(components: components)
    _ = try HTTPSignedMessage.response(response, to: request).verifySignature(requirements, at: Self.now) { _ in
      publicKey
    }
    let other = try signed(by: key, tag: "another")
    for answered in [other, nil] {
      #expect(throws: HTTPSignatureError.self) {
        try HTTPSignedMessage.response(response, to: answered).verifySignature(requirements, at: Self.now) { _ in
          publicKey
        }
      }
    }
  }

  @Test(arguments: [
    (HTTPSignatureComponent.queryParameter("baz"), "batman"), (.queryParameter("qux"), ""),
    (.queryParameter("bar"), "with%20plus%20whitespace"), (.queryParameter("fa%C3%A7ade%22%3A%20"), "something"),
    (.path, "/p"), (.authority, "www.example.com"), (.scheme, "https"), (.method, "GET"),
    (.query, "?baz=batman&qux=&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something"),
    (.field("X-Two"), "a, b"), (.wrappedField("X-Two"), ":YQ==:, :Yg==:"),
    (.structuredField("X-Dict"), "a=1, b=2;x=1;y=2, c=(a b c)"), (.member("b", ofField: "X-Dict"), "2;x=1;y=2"),
    (.member("c", ofField: "X-Dict"), "(a b c)"), (.member("d", ofField: "X-Dict"), "?1"),
  ])
  func `components have the values of section 2`(component: HTTPSignatureComponent, value: String) throws {
    var request = HTTPRequest(
      method: .get, scheme: "https", authority: "WWW.Example.com:443",
      path: "/p?baz=batman&qux=&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something")
    request.headerFields.append(HTTPField(name: HTTPField.Name("X-Two")!, value: " a "))
    request.headerFields.append(HTTPField(name: HTTPField.Name("X-Two")!, value: "b"))
    let dictionary = "  a=1,    b=2;x=1;y=2,   c=(a   b    c)"
    request.headerFields[HTTPField.Name("X-Dict")!] = value == "?1" ? dictionary + ", d" : dictionary
    #expect(try HTTPSignedMessage.request(request).value(of: component) == value)
  }

  @Test(arguments: [
    HTTPSignatureComponent.status, .field("x-none"), .queryParameter("a"), .queryParameter("none"),
    HTTPSignatureComponent.method.ofRequest, .member("none", ofField: "x-dict"), .field("@nonsense"),
  ])
  func `components that are not there are said not to be`(component: HTTPSignatureComponent) throws {
    var request = request("/?a=1&a=2")
    request.headerFields[HTTPField.Name("X-Dict")!] = "a=1"
    let error = #expect(throws: HTTPSignatureError.self) { try HTTPSignedMessage.request(request).value(of: component) }
    #expect(error?.code == .component)
  }

  @Test func `a key that cannot be read is said not to be one`() {
    #expect(throws: HTTPSignatureError.self) {
      try HTTPSigningKey(pem: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
    }
    #expect(throws: HTTPSignatureError.self) { try HTTPVerificationKey(pem: "") }
  }
}
