import DesiredState
import NIOConcurrencyHelpers
import NIOSSL

/// The clients of this fleet manager, and where everything about them is.
///
/// `clients/<client>/` is the operator's: its existence is the policy that accepts the client, and its contents are the
/// client's state. `server/<client>/` is the server's: its drop of that state, and the client's reports.
final class Fleet: Sendable {
  private let dataDirectory: String
  private let assignments = NIOLockedValueBox<[String: Assignment]>([:])

  init(dataDirectory: String) { self.dataDirectory = dataDirectory }

  private func directory(of client: String) -> String { "\(dataDirectory)/clients/\(client)" }
  private func records(of client: String) -> String { "\(dataDirectory)/server/\(client)" }

  /// Whether the client is one that the operator accepts.
  func accepts(_ client: String) async throws -> Bool {
    guard WorkloadIdentity.isSegment(client) else { return false }
    return try await Disk.run { [path = directory(of: client)] in Disk.isDirectory(path) }
  }

  /// Every client that is accepted.
  func clients() async throws -> [String] {
    try await Disk.run { [path = "\(dataDirectory)/clients"] in
      try Disk.names(in: path).filter { WorkloadIdentity.isSegment($0) && Disk.isDirectory("\(path)/\($0)") }
    }
  }

  /// The state for the client.
  func assignment(of client: String) -> Assignment {
    assignments.withLockedValue { assignments in
      if let known = assignments[client] { return known }
      let new = Assignment(directory: directory(of: client), records: records(of: client))
      assignments[client] = new
      return new
    }
  }

  /// The client's reports.
  func reports(of client: String) -> Reports { Reports(client: client, directory: records(of: client)) }

  // MARK: - Certificates

  /// Accepts a client with a certificate. The same certificate again is the same client, also after a restart.
  func onboard(_ certificate: NIOSSLCertificate) async throws -> String {
    let der = try certificate.toDERBytes()
    let client = certificate.workloadIdentity?.client ?? DigestText.identifier(of: der)
    let (directory, file) = (directory(of: client), certificateFile(of: client))
    try await Disk.run {
      if let known = try Disk.read(file), known != der {
        throw Problem.notAuthorized("A client of this name is onboarded with another certificate.")
      }
      try Disk.replace(file, with: der)
      // Last: a client is accepted when everything about it is on the disk.
      try Disk.createDirectory(directory)
    }
    return client
  }

  /// The certificate that the client was onboarded with; nil if it was not.
  func certificate(of client: String) async throws -> NIOSSLCertificate? {
    let der = try await Disk.run { [file = certificateFile(of: client)] in try Disk.read(file) }
    return try der.map { try NIOSSLCertificate(bytes: $0, format: .der) }
  }

  private func certificateFile(of client: String) -> String { "\(records(of: client))/certificate.der" }
}

/// Names that follow from digests.
enum DigestText {
  static func hexadecimal(of text: String) -> String { Digest.of(Array(text.utf8)).hexadecimal }

  /// A UUID that follows from bytes: version 8 of RFC 9562, whose content is up to its maker.
  static func identifier(of bytes: [UInt8]) -> String {
    var digits = Array(Digest.of(bytes).hexadecimal.prefix(32))
    digits[12] = "8"
    digits[16] = "a"
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
  }
}
