import DesiredState
import GitBackend
import Glibc
import Measuring

// Desired state in Git: nginx and git's own http-backend with TLS 1.3 and client certificates on loopback, against the
// git program. Plain trees with signed commits. Bytes are counted on the way, round trips by the server.

guard CommandLine.arguments.count == 2 else { fatalError("usage: GitBenchmarks PATH-OF-RELAY") }
let site = Site { directory in
  """
  location / {
    fastcgi_pass unix:\(directory)/fcgi;
    fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend; fastcgi_param GIT_PROJECT_ROOT \(directory);
    fastcgi_param GIT_HTTP_EXPORT_ALL ""; fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string;
    fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param GIT_CONFIG_NOSYSTEM 1;
    fastcgi_param GIT_CONFIG_GLOBAL /dev/null; fastcgi_param GIT_PROTOCOL $http_git_protocol;
  }
  """
}
_ = Measure.shell("fcgiwrap -c 2 -s unix:\(site.directory)/fcgi >/dev/null 2>&1 & echo $! > \(site.directory)/fcgi.pid")
defer {
  _ = Measure.shell("kill $(cat \(site.directory)/fcgi.pid)")
  site.close()
}
let line = Relay(CommandLine.arguments[1], to: site, roundTrip: 0)
defer { line.end() }

try await pollBenchmark()
try await updateBenchmark()
try await firstSyncBenchmark()
try await catchingUpBenchmark()
