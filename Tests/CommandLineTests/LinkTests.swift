import Foundation
import HTTPTestSupport
import TestSupport
import Testing

/// The program on a link that loses its connections without a word.
@Suite(
  .serialized,
  .enabled(if: LinkNamespace.isPossible, "a network namespace takes root; ConnectionTests have a relay instead"))
struct `On a link` {
  let site: Site
  let certificates: Certificates
  let key: String

  init() async throws {
    site = try Site()
    certificates = try await Certificates.shared.value
    key = try await site.makeKey(trustedAs: "ops@plant.example")
    try site.write("press: 1\n", to: "documents/press.yaml")
    try await site.publish(keys: [key])
  }

  enum Trouble: String, CaseIterable, Sendable { case forgotten, disconnected }

  struct Case: Sendable, CustomTestStringConvertible {
    var trouble: Trouble
    var isHTTP2: Bool
    var showsCertificate: Bool
    var testDescription: String {
      "\(trouble), HTTP/\(isHTTP2 ? "2" : "1.1"), \(showsCertificate ? "with" : "without") a client certificate"
    }
    static let all = Trouble.allCases.flatMap { trouble in
      [false, true].flatMap { isHTTP2 in
        [false, true].map { Case(trouble: trouble, isHTTP2: isHTTP2, showsCertificate: $0) }
      }
    }
  }

  private static let timeout = 5

  @Test(.timeLimit(.minutes(2)), arguments: Case.all)
  func `a device that lost its connection follows again within two timeouts`(given: Case) async throws {
    let link = try await LinkNamespace.make()
    let mutual = "ssl_verify_client on; ssl_client_certificate \(certificates.authority);"
    try site.write(
      """
      daemon off; master_process off; pid \(site.root)/nginx.pid; user root;
      events { worker_connections 64; }
      http {
        access_log off; client_body_temp_path \(site.root); proxy_temp_path \(site.root);
        fastcgi_temp_path \(site.root); uwsgi_temp_path \(site.root); scgi_temp_path \(site.root);
        root \(site.root);
        server { listen unix:\(site.root)/ready; }
        server {
          listen 127.0.0.1:8443 ssl\(given.isHTTP2 ? " http2" : "");
          ssl_certificate \(certificates.certificate("server")); ssl_certificate_key \(certificates.key("server"));
          ssl_protocols TLSv1.3; \(given.showsCertificate ? mutual : "")
        }
      }
      """, to: "nginx.conf")
    let nginx = ServerProcess(
      link.command(["nginx", "-c", site.root + "/nginx.conf", "-e", "stderr"]),
      listeningAt: [.path(site.root + "/ready")], output: site.root + "/nginx.log")
    try await nginx.start()
    var options = ["--tls-ca", certificates.authority, "--trust", site.trust]
    if given.showsCertificate {
      options += ["--tls-cert", certificates.certificate("client"), "--tls-key", certificates.key("client")]
    }
    let device = ServerProcess(
      link.command(
        [
          Tool.desiredState, "follow", "https://localhost:8443/drop/manifest.json", "--store", site.store, "--into",
          site.into, "--json", "--interval", "500ms", "--timeout", "\(Self.timeout)s", "--start-spread", "0s",
        ] + options),
      listeningAt: [], output: site.root + "/events")
    try await device.start()
    try await until("the first version is applied") { events("applied") == 1 }
    // The connection is used again.
    try await until("it has looked again") { events("unchanged") > 0 }
    switch given.trouble {
    case .forgotten: try await link.forget()
    case .disconnected:
      try await link.disconnect()
      try await until("the trouble is noticed") { events("unavailable") > 0 }
      try await link.connect()
    }
    try site.write("press: 2\n", to: "documents/press.yaml")
    try await site.publish(keys: [key])
    let begun = ContinuousClock.now
    try await until("the second version is applied") { events("applied") == 2 }
    // The machine of the tests may be busy.
    #expect(ContinuousClock.now - begun < .seconds(2 * Self.timeout + 4), "\(ContinuousClock.now - begun)")
    #expect(try site.read(site.current + "/press.yaml") == "press: 2\n")
    try await device.stop()
    try await nginx.stop()
    await link.end()
  }

  private func events(_ name: String) -> Int {
    ((try? site.read("events")) ?? "").split(separator: "\n").count { Event(line: $0)?.event == name }
  }
}
