import DesiredState
import Glibc
import HTTPTransport
import Measuring
import RESTBackend

/// nginx with TLS 1.3, client certificates and HTTP/2, serving drops; and the certificates and keys of both sides.
struct Site {
  let directory: String
  let port = 18443
  let relayPort = 18444

  var www: String { "\(directory)/www" }
  var authority: String { "\(directory)/ca.pem" }
  var certificate: String { "\(directory)/client.pem" }
  var key: String { "\(directory)/client.key" }
  var curl: String { "curl -sSf --http2 --tlsv1.3 --cacert \(authority) --cert \(certificate) --key \(key)" }

  func url(_ path: String, port: Int? = nil) -> String { "https://localhost:\(port ?? self.port)/\(path)" }

  init() {
    var template = Array("/tmp/desired-state-bench.XXXXXX".utf8CString)
    directory = String(cString: mkdtemp(&template)!)
    _ = Measure.shell(
      """
      cd \(directory); mkdir www; ssh-keygen -q -t ed25519 -N '' -f key; printf 'ops %s\\n' "$(cat key.pub)" > trust
      ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch'
      openssl req -x509 $ec -keyout ca.key -out ca.pem -days 30 -subj /CN=bench 2>/dev/null
      for name in server client; do
        openssl req $ec -keyout $name.key -out $name.csr -subj /CN=$name 2>/dev/null
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > names
        openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out $name.pem 2>/dev/null
      done
      cat > nginx.conf <<'END'
      daemon on; worker_processes 1; pid \(directory)/pid; error_log \(directory)/error.log; \(getuid() == 0 ? "user root;" : "")
      events { worker_connections 512; }
      http {
        access_log off; default_type application/octet-stream; types { application/json json; }
        gzip on; gzip_types application/json; gzip_min_length 256;
        client_body_temp_path \(directory); proxy_temp_path \(directory); fastcgi_temp_path \(directory);
        uwsgi_temp_path \(directory); scgi_temp_path \(directory);
        keepalive_requests 10000000; keepalive_timeout 3600; http2_max_concurrent_streams 128;
        server {
          listen 127.0.0.1:\(port) ssl http2; root \(directory)/www;
          ssl_certificate server.pem; ssl_certificate_key server.key; ssl_protocols TLSv1.3;
          ssl_verify_client on; ssl_client_certificate ca.pem;
        }
      }
      END
      PATH=$PATH:/usr/sbin nginx -p \(directory) -c \(directory)/nginx.conf -e \(directory)/error.log
      """)
  }

  func close() {
    _ = Measure.shell("kill $(cat \(directory)/pid); rm -rf \(directory)")
  }

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
      "--trust", "\(directory)/trust", "--tls-ca", authority, "--tls-cert", certificate, "--tls-key", key,
    ]
  }
}
