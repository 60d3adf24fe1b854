import Foundation
package import TestSupport

/// A private certificate authority and what it issued, made once a process with the openssl program.
package struct Certificates: Sendable {
  package let directory = TemporaryDirectory()

  package static let shared = Task { try await onThread { try Certificates() } }

  package var authority: String { directory["ca.pem"] }
  package var otherAuthority: String { directory["other-ca.pem"] }
  package func certificate(_ name: String) -> String { directory["\(name).pem"] }
  package func key(_ name: String) -> String { directory["\(name).key"] }

  package static let identity = "spiffe://plant.example/server"

  private init() throws {
    for name in ["ca", "other-ca"] {
      try ChildProcess.run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch",
        "-keyout", key(name), "-out", certificate(name), "-days", "30", "-subj", "/CN=\(name)", "-config",
        try directory.write(
          "ca.cnf",
          "[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\nbasicConstraints=critical,CA:true\nsubjectKeyIdentifier=hash\n"
        ),
      ])
    }
    let localhost = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"
    try issue("server", names: "\(localhost),URI:\(Self.identity)")
    try issue("two-identities", names: "\(localhost),URI:\(Self.identity),URI:spiffe://plant.example/other")
    try issue("identity-only", names: "URI:\(Self.identity)")
    try issue("other-host", names: "DNS:other.example")
    try issue("expired", names: localhost, from: "20200101000000Z", to: "20210101000000Z")
    try issue("future", names: localhost, from: "20900101000000Z", to: "20910101000000Z")
    try issue("client", names: "DNS:device")
    try issue("expired-client", names: "DNS:device", from: "20200101000000Z", to: "20210101000000Z")
    try issue("other-client", names: "DNS:device", by: "other-ca")
    try issue("untrusted", names: localhost, by: "other-ca")
    // A fleet manager and its clients, by the names of Margo's WFM Identity Profile.
    let manager = "spiffe://plant.example/margo/wfm/fleet-1"
    try issue("wfm", names: "URI:\(manager)")
    try issue("wfm-other", names: "\(localhost),URI:spiffe://plant.example/margo/wfm/fleet-2")
    try issue("wfm-elsewhere", names: "\(localhost),URI:spiffe://other.example/margo/wfm/fleet-1")
    try issue("wfm-two", names: "\(localhost),URI:\(manager),URI:spiffe://plant.example/margo/wfm/fleet-2")
    try issue("wfm-client", names: "URI:\(manager)/client/press-42")
    try issue("wfm-no-client", names: "URI:\(manager)/agent/press-42")
    // The right name on a certificate that does not prove it, or that does in another way.
    let leaf = "URI:\(manager)"
    try issue("wfm-authority", names: leaf, more: "basicConstraints=critical,CA:true")
    try issue("wfm-cert-signer", names: leaf, more: "keyUsage=digitalSignature,keyCertSign")
    try issue("wfm-list-signer", names: leaf, more: "keyUsage=digitalSignature,cRLSign")
    try issue("wfm-rsa-2048", names: leaf, key: ["rsa:2048"])
    try issue("wfm-p-521", names: leaf, key: ["ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"])
    try issue("wfm-sha-512", names: leaf, digest: "sha512")
    try issue("wfm-rsa-3072", names: leaf, key: ["rsa:3072"])
    try issue("wfm-p-384", names: leaf, key: ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"], digest: "sha384")
    try issue("wfm-ed25519", names: leaf, key: ["ed25519"])
    try issue(
      "wfm-usual", names: leaf, more: "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature")
    let day = { Self.time($0 * 86400) }
    try issue("wfm-ending-client", names: "\(leaf)/client/press-42", from: day(-300), to: day(20))
    try issue("wfm-short-client", names: "\(leaf)/client/press-42", from: Self.time(-3600), to: Self.time(3 * 3600))
  }

  /// A time from now, as openssl has it.
  private static func time(_ seconds: Double) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "yyyyMMddHHmmss'Z'"
    return formatter.string(from: Date(timeIntervalSinceNow: seconds))
  }

  /// By `openssl ca`, the one command that takes both dates.
  private func issue(
    _ name: String, names: String, from: String = "20240101000000Z", to: String = "20991231235959Z",
    by authority: String = "ca", more: String = "",
    key kind: [String] = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], digest: String = "sha256"
  ) throws {
    let configuration = try directory.write(
      "\(name).cnf",
      """
      [ca]
      default_ca=it
      [it]
      database=\(directory["\(name).index"])
      rand_serial=yes
      new_certs_dir=\(directory.path)
      default_md=\(digest)
      policy=any
      x509_extensions=ext
      unique_subject=no
      [any]
      commonName=supplied
      [ext]
      subjectAltName=\(names)
      \(more)
      [req]
      distinguished_name=dn
      [dn]
      """)
    try directory.write("\(name).index", "")
    try ChildProcess.run(
      ["openssl", "req", "-newkey"] + kind + [
        "-nodes", "-batch", "-keyout", key(name), "-out", directory["\(name).csr"], "-subj", "/CN=\(name)", "-config",
        configuration,
      ])
    try ChildProcess.run([
      "openssl", "ca", "-batch", "-notext", "-config", configuration, "-cert", certificate(authority), "-keyfile",
      key(authority), "-in", directory["\(name).csr"], "-out", certificate(name), "-startdate", from, "-enddate",
      to,
    ])
  }
}
