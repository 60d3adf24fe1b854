import Foundation
import HTTPTransport

/// A private certificate authority and what it issued, made once a process by the openssl program.
struct Certificates: Sendable {
  static let shared = Task { try await onThread { try Certificates() } }
  private static let directory: String = {
    atexit { try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "reference-server-tls-\(getpid())") }
    return NSTemporaryDirectory() + "reference-server-tls-\(getpid())"
  }()

  static let manager = "spiffe://plant.example/margo/wfm/main"

  var authority: String { file("ca.pem") }
  func file(_ name: String) -> String { "\(Self.directory)/\(name)" }
  func certificate(_ name: String) -> HTTPClientCertificate {
    HTTPClientCertificate(certificateFile: file("\(name).pem"), keyFile: file("\(name).key"))
  }

  private init() throws {
    try FileManager.default.createDirectory(atPath: Self.directory, withIntermediateDirectories: true)
    try make("ca", ["-x509", "-days", "30", "-addext", "basicConstraints=critical,CA:true"])
    try issue("server", "DNS:localhost,IP:127.0.0.1,URI:\(Self.manager)")
    try issue("press-42", "URI:\(Self.manager)/client/press-42")
    try issue("press-43", "URI:\(Self.manager)/client/press-43")
    try issue("elsewhere", "URI:spiffe://plant.example/margo/wfm/other/client/press-42")
    try issue("nameless", "DNS:press-42")
    try issue("manager", "URI:\(Self.manager)")
    for (name, use) in [
      ("authority", "basicConstraints=critical,CA:true"), ("cert-signer", "keyUsage=digitalSignature,keyCertSign"),
      ("list-signer", "keyUsage=digitalSignature,cRLSign"),
      ("signer", "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature,keyEncipherment"),
    ] {
      try issue(name, "URI:\(Self.manager)/client/press-42", use)
    }
    try make("stranger", ["-x509", "-days", "30", "-addext", "subjectAltName=URI:\(Self.manager)/client/press-42"])
    try make("device", ["-x509", "-days", "30"])
    try make("expired", ["-x509", "-days", "30"], at: "2020-01-01")
  }

  private func make(_ name: String, _ options: [String], at time: String = "now") throws {
    try run(
      [
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch", "-subj", "/CN=\(name)",
        "-keyout", file("\(name).key"), "-out", file("\(name).pem"),
      ] + options, at: time)
  }

  private func issue(_ name: String, _ names: String, _ more: String = "") throws {
    try make(name, [])
    try Data("subjectAltName=\(names)\n\(more)\n".utf8).write(to: URL(fileURLWithPath: file("\(name).ext")))
    try run([
      "x509", "-req", "-in", file("\(name).pem"), "-CA", authority, "-CAkey", file("ca.key"), "-CAcreateserial",
      "-days", "30", "-extfile", file("\(name).ext"), "-out", file("\(name).issued"),
    ])
    try FileManager.default.removeItem(atPath: file("\(name).pem"))
    try FileManager.default.moveItem(atPath: file("\(name).issued"), toPath: file("\(name).pem"))
  }

  /// Runs openssl at a time of day, which `openssl req` itself does not let one choose.
  private func run(_ arguments: [String], at time: String = "now") throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = (time == "now" ? ["openssl"] : ["faketime", time, "openssl"]) + arguments
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw TestSite.ReferenceServerFailure("openssl \(arguments.joined(separator: " ")) failed")
    }
  }
}

/// Runs what may block on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}
