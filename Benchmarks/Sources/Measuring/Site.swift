import DesiredState
import Glibc

/// nginx with TLS 1.3, client certificates and HTTP/2 on loopback, and the certificates and keys of both sides.
public struct Site: Sendable {
  public let directory: String
  public let port = 18443
  /// Where a ``Relay`` listens.
  public let relayPort = 18444

  public var www: String { "\(directory)/www" }
  public var authority: String { "\(directory)/ca.pem" }
  public var certificate: String { "\(directory)/client.pem" }
  public var key: String { "\(directory)/client.key" }
  /// An allowed_signers file with the public half of `key` in the directory.
  public var trust: String { "\(directory)/trust" }

  /// The settings by which this package's backends get here.
  public var settings: BackendSettings {
    BackendSettings {
      $0[.trustedAuthorities] = authority
      $0[.clientCertificate] = certificate
      $0[.clientKey] = key
    }
  }

  public func url(_ path: String, port: Int? = nil) -> String { "https://localhost:\(port ?? self.port)/\(path)" }

  /// - Parameter location: more of nginx's configuration for the server, which serves `www` by itself.
  public init(_ location: (String) -> String = { _ in "" }) {
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
        limit_req_zone $binary_remote_addr zone=limit50:1m rate=50r/s;
        limit_req_zone $binary_remote_addr zone=limit10:1m rate=10r/s;
        log_format line '$request_method'; access_log \(directory)/access.log line;
        default_type application/octet-stream; types { application/json json; }
        gzip on; gzip_types application/json; gzip_min_length 256;
        client_body_temp_path \(directory); proxy_temp_path \(directory); fastcgi_temp_path \(directory);
        uwsgi_temp_path \(directory); scgi_temp_path \(directory); client_max_body_size 0;
        keepalive_requests 10000000; keepalive_timeout 3600; http2_max_concurrent_streams 128;
        server {
          listen 127.0.0.1:\(port) ssl http2; root \(directory)/www;
          ssl_certificate server.pem; ssl_certificate_key server.key; ssl_protocols TLSv1.3;
          ssl_verify_client on; ssl_client_certificate ca.pem;
          \(location(directory))
        }
      }
      END
      PATH=$PATH:/usr/sbin nginx -p \(directory) -c \(directory)/nginx.conf -e \(directory)/error.log
      """)
  }

  /// How many requests were answered so far.
  public func requests() -> Int { Int(Measure.output(["sh", "-c", "wc -l < \(directory)/access.log"])) ?? 0 }

  public func close() {
    _ = Measure.shell("kill $(cat \(directory)/pid); rm -rf \(directory)")
  }
}
