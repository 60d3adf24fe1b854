import DesiredState
import FileBackend
import Glibc
import Measuring

// A drop on a disk, against the tools that do the parts of it: cp, sync, sha256sum, openssl.
// Every ratio is of medians of runs that took turns, because the machine's speed drifts.

guard [2, 3].contains(CommandLine.arguments.count) else {
  fatalError("usage: DropBenchmarks PATH-OF-DESIRED-STATE [verification]")
}
let program = CommandLine.arguments[1]
var template = Array("/tmp/desired-state-bench.XXXXXX".utf8CString)
let site = String(cString: mkdtemp(&template)!)
defer { _ = Measure.shell("umount \(site)/disk 2>/dev/null || true; rm -rf \(site)") }

if CommandLine.arguments.count == 3 {
  try await verificationBenchmark()
  _ = Measure.shell("rm -rf \(site)")
  exit(0)
}

_ = Measure.shell(
  """
  cd \(site); ssh-keygen -q -t ed25519 -N '' -f key; printf 'ops %s\\n' "$(cat key.pub)" > trust
  mkdir many one-small one-large
  head -c 20480000 /dev/urandom | split -b 2048 -a 5 - many/document-
  head -c 1024 /dev/urandom > one-small/document; head -c 1073741824 /dev/urandom > one-large/document
  for name in many one-small one-large; do \(program) publish $name --to drop-$name --key key; done
  """)

let follow = { (drop: String, store: String) in
  [program, "follow", "\(site)/drop-\(drop)", "--store", "\(site)/\(store)", "--once", "--trust", "\(site)/trust"]
}

try await verificationBenchmark()
try await pollBenchmark()
adoptionBenchmark()
largeDocumentBenchmark()
try await hintBenchmark()
sizeBenchmark()
