import NIOSSL

/// The name of a fleet manager or of one of its clients: a SPIFFE ID as the Margo WFM Identity Profile has them,
/// `spiffe://<trust domain>/margo/wfm/<manager>` and the same with `/client/<client>`.
struct WorkloadIdentity: Equatable, Sendable {
  var trustDomain: String
  var manager: String
  var client: String?

  /// - Returns: nil if the text is no such name.
  init?(_ id: String) {
    let parts = id.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 6 || parts.count == 8, parts[0] == "spiffe:", parts[1].isEmpty, !parts[2].isEmpty,
      parts[3] == "margo", parts[4] == "wfm", Self.isSegment(parts[5])
    else { return nil }
    trustDomain = parts[2]
    manager = parts[5]
    guard parts.count == 8 else { return }
    guard parts[6] == "client", Self.isSegment(parts[7]) else { return nil }
    client = parts[7]
  }

  /// Whether this is a client of that manager.
  func isClient(of manager: WorkloadIdentity) -> Bool {
    client != nil && trustDomain == manager.trustDomain && self.manager == manager.manager
  }

  /// SPIFFE ID section 2.2. Such a name is safe as a directory's, too.
  static func isSegment(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 200 && text != "." && text != ".."
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || "._-".utf8.contains($0)
      }
  }
}

extension NIOSSLCertificate {
  /// The identity in the certificate; nil if there is none. X.509-SVID section 2: exactly one URI name.
  var workloadIdentity: WorkloadIdentity? {
    let uris = _subjectAlternativeNames().filter { $0.nameType == .uri }
    guard uris.count == 1, let uri = uris.first else { return nil }
    return uri.contents.withUnsafeBufferPointer { WorkloadIdentity(String(decoding: $0, as: UTF8.self)) }
  }
}
