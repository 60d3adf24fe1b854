import Foundation
import HTTPMessageSignatures
import HTTPTypes
import Testing

@testable import ReferenceServer

@Suite(.timeLimit(.minutes(2))) struct SignatureTests {
  /// How a device signs: which components, when, and with whose key.
  private func signature(
    _ key: HTTPSigningKey,
    covering components: [HTTPSignatureComponent] = [.method, .targetURI, .field("content-digest")],
    at time: Date = Date()
  ) -> (inout HTTPRequest, [UInt8]) throws -> Void {
    { request, body in
      request.headerFields[.contentDigest] = HTTPContentDigest.field(of: body)
      try request.sign(components, parameters: HTTPSignatureParameters(created: time, keyID: "device"), with: key)
    }
  }

  private func key(_ name: String) async throws -> HTTPSigningKey {
    try HTTPSigningKey(
      pem: String(contentsOfFile: try await Certificates.shared.value.file("\(name).key"), encoding: .utf8))
  }

  private func request(_ certificate: String) async throws -> String {
    let pem = try Data(contentsOf: URL(fileURLWithPath: try await Certificates.shared.value.file("\(certificate).pem")))
    return """
      {"apiVersion": "onboarding.margo.org/v1alpha1", "kind": "OnboardingRequest",
       "certificate": "\(pem.base64EncodedString())"}
      """
  }

  @Test func `a device onboards with its certificate and signs what it asks for`() async throws {
    let (device, stranger) = (try await key("device"), try await key("stranger"))
    let wanted = try await request("device")
    try await TestSite.run(configuration: .init(dataDirectory: "", requiresSignatures: true)) { site async throws in
      let answer = try await site.send(.post, "/api/v1/onboarding", body: wanted, sign: signature(device))
      #expect(answer.status == 201)
      let client = try #require(try answer.json([String: String].self)["clientId"])
      #expect(UUID(uuidString: client) != nil)
      let again = try await site.send(.post, "/api/v1/onboarding", body: wanted, sign: signature(device))
      #expect(again.body == answer.body, "the same certificate is the same client")
      #expect(try await site.send(.post, "/api/v1/onboarding", body: wanted, sign: signature(stranger)).status == 401)
      #expect(try await site.send(.post, "/api/v1/onboarding", body: wanted).status == 400)

      try site.write("press.yaml", "recipe: 1\n", client: client)
      let path = "/api/v1/clients/\(client)/deployments"
      #expect(try await site.send(.get, path, sign: signature(device)).status == 200)
      #expect(try await site.send(.get, path).status == 401)
      #expect(try await site.send(.get, path, sign: signature(stranger)).status == 401)
      #expect(try await site.send(.get, path, sign: signature(device, covering: [.method])).status == 401)
      #expect(try await site.send(.get, path, sign: signature(device, at: Date() - 500)).status == 401)
      #expect(try await site.send(.get, path, sign: signature(device, at: Date() + 500)).status == 401)
      let elsewhere: (inout HTTPRequest, [UInt8]) throws -> Void = { request, body in
        let path = request.path
        request.path = "/api/v1/clients/\(client)/bundles/other"
        try signature(device)(&request, body)
        request.path = path
      }
      #expect(try await site.send(.get, path, sign: elsewhere).status == 401, "a signature of another request")
    }
  }

  @Test func `a body is what was signed`() async throws {
    let device = try await key("device")
    let wanted = try await request("device")
    try await TestSite.run { site async throws in
      let answer = try await site.send(.post, "/api/v1/onboarding", body: wanted, sign: signature(device))
      let client = try #require(try answer.json([String: String].self)["clientId"])
      try site.write("press.yaml", "recipe: 1\n", client: client)
      let root = "/api/v1/clients/\(client)/deployments"
      _ = try await site.get(root)
      let path = root + "/press/status"
      let body =
        "{\"deploymentId\": \"press\", \"adoptedManifestVersion\": 1, \"status\": {\"state\": \"failed\"}, \"components\": []}"
      #expect(try await site.send(.post, path, body: body, sign: signature(device)).status == 201)
      let other: (inout HTTPRequest, [UInt8]) throws -> Void = { request, body in
        try signature(device)(&request, body + [0])
      }
      #expect(try await site.send(.post, path, body: body, sign: other).status == 400)
      let uncovered = signature(device, covering: [.method, .targetURI])
      #expect(try await site.send(.post, path, body: body, sign: uncovered).status == 401)
      #expect(try await site.send(.post, path, body: body).status == 200, "signatures are not required here")
    }
  }

  @Test func `who is not let in`() async throws {
    let wanted = try await request("device")
    let expired = try await request("expired")
    try await TestSite.run { site async throws in
      #expect(try await site.send(.post, "/api/v1/onboarding", body: expired).status == 403)
      #expect(try await site.send(.post, "/api/v1/onboarding", body: "{}").status == 422)
      #expect(try await site.send(.post, "/api/v1/onboarding", body: "x").status == 400)
      let kind = wanted.replacing("OnboardingRequest", with: "Other")
      #expect(try await site.send(.post, "/api/v1/onboarding", body: kind).status == 422)
      for certificate in ["!", "YWJj"] {
        let body = "{\"apiVersion\": \"1\", \"kind\": \"OnboardingRequest\", \"certificate\": \"\(certificate)\"}"
        let answer = try await site.send(.post, "/api/v1/onboarding", body: body)
        #expect(answer.status == 400)
      }
      #expect(try await site.get("/api/v1/onboarding/certificate").status == 404)
      #expect(try await site.get("/admin/clients").text == "[\n\n]\n")
    }
    try await TestSite.run(configuration: .init(dataDirectory: "", allowsOnboarding: false)) { site async throws in
      #expect(try await site.send(.post, "/api/v1/onboarding", body: wanted).status == 403)
    }
    let authority = try await Certificates.shared.value.authority
    try await TestSite.run(configuration: .init(dataDirectory: "", rootCertificateFile: authority)) {
      site async throws in
      let answer = try await site.get("/api/v1/onboarding/certificate").json([String: String].self)
      let pem = try Data(contentsOf: URL(fileURLWithPath: authority))
      #expect(answer["certificate"] == pem.base64EncodedString())
    }
  }
}
