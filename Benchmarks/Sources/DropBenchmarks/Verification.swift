import DesiredState
import FoundationEssentials
import Glibc
import Measuring
import SSHSignatures

/// What it costs to weigh one signature with 1, 10 and 100 allowed keys, plain ones and authorities of certificates,
/// against `ssh-keygen -Y verify` over the same files: as a program each, and in a process that runs.
func verificationBenchmark() async throws {
  let folder = "\(site)/verification"
  _ = Measure.shell(
    """
    mkdir -p \(folder)/documents; cd \(folder); echo 'press: 1' > documents/press
    ssh-keygen -q -t ed25519 -N '' -f ca; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f certified
    ssh-keygen -q -s ca -I id -n ops certified.pub
    i=0; : > others; while [ $i -lt 99 ]; do
      ssh-keygen -q -t ed25519 -N '' -f other; echo "other-$i namespaces=\\"desired-state\\" $(cut -d' ' -f1,2 other.pub)" >> others
      rm other other.pub; i=$((i+1))
    done
    for n in 1 10 100; do
      head -n $((n-1)) others > plain-$n; cp plain-$n certificate-$n
      echo "ops namespaces=\\"desired-state\\" $(cut -d' ' -f1,2 key.pub)" >> plain-$n
      echo "ops cert-authority,namespaces=\\"desired-state\\" $(cut -d' ' -f1,2 ca.pub)" >> certificate-$n
    done
    cp certified-cert.pub signer-cert.pub; cp certified signer
    \(program) publish documents --to plain --key key >/dev/null; \(program) publish documents --to certificate --key signer-cert.pub >/dev/null
    for kind in plain certificate; do cp $kind/signatures/*.sig $kind.sig; done
    """)
  for kind in ["plain", "certificate"] {
    for count in [1, 10, 100] {
      let signers = "\(folder)/\(kind)-\(count)"
      var ours: [Double] = []
      var peer: [Double] = []
      for _ in 0..<21 {
        ours.append(Measure.run([program, "verify", "\(folder)/\(kind)", "--trust", signers]).cpu * 1000)
        peer.append(
          Measure.shell(
            "exec ssh-keygen -Y verify -n desired-state -I ops -f \(signers) -s \(folder)/\(kind).sig < \(folder)/\(kind)/manifest.json"
          ).cpu * 1000)
      }
      let title = "\(kind == "plain" ? "plain keys" : "keys and an authority"), \(count) allowed"
      report(
        "verify, \(title), CPU of a program", ours.median, peer.median, unit: "ms", peerName: "ssh-keygen -Y verify",
        bound: "at most 3")
      let inside = try await insideCost(
        signers: signers, signature: "\(folder)/\(kind).sig", message: "\(folder)/\(kind)/manifest.json")
      report(
        "verify, \(title), CPU in a process that runs", inside, peer.median, unit: "ms",
        peerName: "ssh-keygen -Y verify", bound: "at most 0.5")
    }
  }
}

/// One verification with everything read anew: the file of signers, the signature, the message.
private func insideCost(signers: String, signature: String, message: String) async throws -> Double {
  func bytes(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    return [UInt8](unsafeUninitializedCapacity: 1 << 20) { $1 = max(0, read(descriptor, $0.baseAddress, 1 << 20)) }
  }
  var costs: [Double] = []
  for _ in 0..<21 {
    let start = Measure.cpu()
    for _ in 0..<20 {
      let allowed = try AllowedSigners(parsing: String(decoding: bytes(signers), as: UTF8.self))
      let manifest = bytes(message)
      let verifier = Verifier(policy: .signatures(by: allowed), device: "bench", now: Date())
      let found = try verifier.signers(of: manifest, signatures: [bytes(signature)], namespace: "desired-state")
      precondition(found.count == 1)
    }
    costs.append((Measure.cpu() - start) / 20 * 1000)
  }
  return costs.median
}
