import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

/// What a server says of a failure reaches the operator, and nothing that it was told in confidence does.
@Suite("The words of a server", .timeLimit(.minutes(5))) struct ServerWordsTests {
  func message(_ type: String, _ text: String, code: Int = 500) async throws -> BackendError {
    let site = try await HostileSite.shared.value
    let escaped = text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    let kind = type.replacingOccurrences(of: "/", with: "|")
    return try await site.backend(.manifest, "says,code=\(code),type=\(kind),text=\(escaped)") {
      $0.credentials = HTTPCredentials(.bearer(HTTPSecret("hush-hush")), for: try HTTPOrigin(of: site.origin))
    }.unavailability()
  }

  /// What follows on the address, in which the words stand as well.
  func said(_ error: BackendError) -> String { error.message.components(separatedBy: " answers ").last ?? "" }

  @Test("are shown in quotes and cut, whether problem details or a short text")
  func shown() async throws {
    #expect(try await message("text|plain", "the disk is full\n").message.contains("\"the disk is full\""))
    let problem = try await message("application|problem+json", #"{"title":"Full","detail":"No disk","status":"x"}"#)
    #expect(problem.message.contains("\"Full\", \"No disk\""), "\(problem)")
    let long = try await message("text|plain", String(repeating: "very ", count: 500))
    #expect(said(long).utf8.count < 300, "\(long)")
    #expect(try await said(message("text|html", "<html>sorry")).contains("sorry") == false)
    #expect(try await message("text|plain", "red \u{1b}[31m").message.contains("\u{1b}") == false)
  }

  @Test("keep what can be read of a problem with one odd member")
  func oddMembers() async throws {
    let problem = try await message(
      "application|problem+json", #"{"title":7,"detail":"No disk","retryable":"yes","retryAfterSeconds":5}"#)
    #expect(problem.message.contains("\"No disk\"") && problem.retryAfter == .seconds(5), "\(problem)")
  }

  @Test("are rid of the credentials that it was sent")
  func struck() async throws {
    for type in ["text|plain", "application|problem+json"] {
      let text = type == "text|plain" ? "I got CREDENTIALS" : #"{"title":"I got CREDENTIALS"}"#
      let error = try await message(type, text, code: 403)
      #expect(error.message.contains("I got") && error.message.contains("•••"), "\(error)")
      #expect(!"\(error)".contains("hush-hush"))
    }
  }

  @Test("An answer with nothing in it is the server's fault, and no state")
  func nothing() async throws {
    let site = try await HostileSite.shared.value
    #expect(try await site.backend(.manifest, "nothing").unavailability().code == .protocolViolation)
  }

  @Test("The device's own certificate is named as the reason when it has expired")
  func expired() async throws {
    let site = try await DropSite.start()
    try site.publish(.version(5))
    let error = try await site.backend {
      $0.tls.clientCertificate = HTTPClientCertificate(
        certificateFile: site.certificates.certificate("expired-client"),
        keyFile: site.certificates.key("expired-client"))
    }.unavailability()
    #expect(error.code == .unauthorized && error.message.contains("It expired at 2021-01-01"), "\(error)")
  }
}
