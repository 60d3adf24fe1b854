import DesiredState
import FoundationEssentials
import Glibc
import HTTPTransport
import HTTPTypes
import Measuring

// Desired state over HTTP, against libcurl alone and the curl program. Medians of runs that took turns.

guard CommandLine.arguments.count == 3 else {
  fatalError("usage: RESTBenchmarks PATH-OF-DESIRED-STATE PATH-OF-CURLPOLL")
}
let program = CommandLine.arguments[1]
let curlPoll = CommandLine.arguments[2]
let site = Site()
defer { site.close() }

try await pollBenchmark()
