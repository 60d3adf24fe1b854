import HTTPTransport
import Measuring

extension Site {
  var curl: String { "curl -sSf --http2 --tlsv1.3 --cacert \(authority) --cert \(certificate) --key \(key)" }

  /// Publishes so many random documents of a size as the drop of that name.
  func publish(_ name: String, count: Int, size: Int) {
    _ = Measure.shell(
      """
      cd \(directory); mkdir \(name)
      head -c \(count * size) /dev/urandom | split -b \(size) -a 4 - \(name)/document-
      \(program) publish \(name) --to www/\(name) --key key
      """)
  }

  func makeTransport() throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration()
    configuration.tls.trust = .only(file: authority)
    configuration.tls.clientCertificate = HTTPClientCertificate(certificateFile: certificate, keyFile: key)
    return try HTTPTransport(configuration: configuration)
  }

  /// How an agent is called that looks at a drop once.
  func follow(_ name: String, store: String, port: Int? = nil) -> [String] {
    [
      program, "follow", url("\(name)/manifest.json", port: port), "--store", "\(directory)/\(store)", "--once",
      "--trust", trust, "--tls-ca", authority, "--tls-cert", certificate, "--tls-key", key,
    ]
  }
}
