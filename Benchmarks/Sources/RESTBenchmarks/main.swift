import Glibc
import Measuring

// Desired state over HTTP: TLS 1.3 with client certificates on loopback, against libcurl alone and the curl program.
// Every ratio is of medians of runs that took turns, because the machine's speed drifts.

guard [4, 5].contains(CommandLine.arguments.count) else {
  fatalError("usage: RESTBenchmarks PATH-OF-DESIRED-STATE PATH-OF-CURLPOLL PATH-OF-RELAY [poll]")
}
let program = CommandLine.arguments[1]
let curlPoll = CommandLine.arguments[2]
let relay = CommandLine.arguments[3]
let site = Site { _ in
  [50, 10].map { rate in
    "location /limited-\(rate)/documents/ { limit_req zone=limit\(rate) burst=2 nodelay; limit_req_status 429; }"
  }.joined(separator: "\n")
}
defer { site.close() }

try await pollBenchmark()
if CommandLine.arguments.count == 5 {
  site.close()
  exit(0)
}
try await changeBenchmark()
firstSyncBenchmark()
memoryBenchmark()
breakingLineBenchmark()
limitingServerBenchmark()
