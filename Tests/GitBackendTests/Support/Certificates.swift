import Foundation

/// A certificate authority, a server's certificate and a client's, made once a process with the openssl program.
struct Certificates: Sendable {
  let folder = Folder()

  static let shared = Task { try await Certificates() }

  private init() async throws {
    let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch", "-days", "30"]
    try await run(
      ["openssl"] + new + [
        "-x509", "-subj", "/CN=test authority", "-keyout", folder["ca.key"], "-out", folder["ca.pem"],
      ])
    for (name, extensions) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "subjectAltName=DNS:device")] {
      try await run(
        ["openssl"] + new + [
          "-x509", "-CA", folder["ca.pem"], "-CAkey", folder["ca.key"], "-subj", "/CN=\(name)", "-addext", extensions,
          "-addext", "basicConstraints=critical,CA:false", "-keyout", folder["\(name).key"], "-out",
          folder["\(name).pem"],
        ])
    }
  }
}
