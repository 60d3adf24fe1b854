// Many devices in one process, each with a backend and a connection of its own, that poll again and again, jittered.
//
// usage: fleet-poll MANIFEST-URL AUTHORITIES DEVICES INTERVAL-SECONDS LOOKS
//
// Prints a line when each device has looked once, and one when each has looked as often as it was told.

import DesiredState
import Glibc
import RESTBackend

let words = CommandLine.arguments
guard words.count == 6, let devices = Int(words[3]), let interval = Double(words[4]), let looks = Int(words[5]) else {
  print("usage: fleet-poll MANIFEST-URL AUTHORITIES DEVICES INTERVAL-SECONDS LOOKS")
  exit(64)
}
var registry = BackendRegistry()
RESTBackend.register(in: &registry)
let settings = BackendSettings { $0[.trustedAuthorities] = words[2] }
let backends = try (0..<devices).map { number in
  try registry.backend(for: words[1], context: BackendContext(device: "device-\(number)", settings: settings))
}

/// Looks of all devices, each somewhere in its interval; the number of those that failed.
func round(_ known: [(Revision, String?)?]) async -> (known: [(Revision, String?)?], failures: Int) {
  await withTaskGroup(of: (Int, (Revision, String?)?, Bool).self) { group in
    for (number, backend) in backends.enumerated() {
      group.addTask {
        try? await Task.sleep(for: .seconds(.random(in: 0...interval)))
        let request = FetchRequest(current: known[number]?.0, marker: known[number]?.1)
        guard let result = try? await backend.fetch(request) else { return (number, known[number], true) }
        switch result.outcome {
        case .changed(let state): return (number, (state.revision, result.marker), known[number] != nil)
        case .unchanged: return (number, (request.current!, result.marker ?? request.marker), known[number] == nil)
        default: return (number, known[number], true)
        }
      }
    }
    var next = known
    var failures = 0
    for await (number, revision, failed) in group {
      next[number] = revision
      failures += failed ? 1 : 0
    }
    return (next, failures)
  }
}

var (known, failures) = await round(Array(repeating: nil, count: devices))
print("{\"event\":\"ready\",\"failures\":\(failures)}")
fflush(nil)
guard readLine() != nil else { exit(1) }
failures = 0
for _ in 0..<looks {
  let (next, failed) = await round(known)
  known = next
  failures += failed
}
print("{\"event\":\"done\",\"polls\":\(devices * looks),\"failures\":\(failures)}")
