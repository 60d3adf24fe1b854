import DesiredState
import FileBackend
import FoundationEssentials
import Glibc
import Logging
import Measuring
import SSHSignatures
import Synchronization

/// A poll that finds nothing new, of a drop with 10,000 documents, against reading and hashing its manifest alone.
func pollBenchmark() async throws {
  let backend = FileBackend(path: "\(site)/drop-many")
  let path = "\(site)/drop-many/manifest.json"
  guard case .changed(let state) = try await backend.fetch(FetchRequest()).outcome else {
    fatalError("nothing published")
  }
  let request = FetchRequest(current: state.revision)
  func readAndHash() {
    let descriptor = open(path, O_RDONLY)
    var status = stat()
    fstat(descriptor, &status)
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
      count = read(descriptor, buffer.baseAddress, Int(status.st_size))
    }
    close(descriptor)
    precondition(Digest.of(bytes) == state.revision.digest)
  }
  var ours: [Double] = []
  var peer: [Double] = []
  for _ in 0..<40 {
    var start = Measure.cpu()
    for _ in 0..<10 {
      guard case .unchanged = try await backend.fetch(request).outcome else { fatalError("changed") }
    }
    ours.append((Measure.cpu() - start) / 10 * 1000)
    start = Measure.cpu()
    for _ in 0..<10 { readAndHash() }
    peer.append((Measure.cpu() - start) / 10 * 1000)
  }
  report(
    "no-change poll, 10,000 documents, CPU", ours.median, peer.median, unit: "ms",
    peerName: "read and hash manifest.json", bound: "at most 1.5")
}

/// A file system of its own, made anew: on the machine's disk creating a file costs 70 to 500 microseconds, depending on
/// which inodes were deleted within the last minute. An image needs root and a loop device; without, the site's disk is used.
func freshDisk() {
  _ = Measure.shell(
    """
    cd \(site); umount disk 2>/dev/null || true; rm -rf disk image; mkdir disk; truncate -s 4G image
    if mkfs.ext4 -q image && mount -o loop image disk 2>/dev/null; then :; else echo 'no loop device' > no-image; fi; sync
    """)
}

/// First adoption of 10,000 documents of 2 kB, durable, against copying the drop, syncing, and hashing the copy.
func adoptionBenchmark() {
  var ours: [Double] = []
  var withTree: [Double] = []
  var peer: [Double] = []
  for _ in 0..<7 {
    freshDisk()
    ours.append(Measure.run(follow("many", "disk/store")).wall)
    freshDisk()
    withTree.append(Measure.run(follow("many", "disk/store") + ["--into", "\(site)/disk/into"]).wall)
    freshDisk()
    peer.append(
      Measure.shell(
        "cd \(site); cp -r drop-many disk/copy; sync; cd disk/copy/documents; find . -type f -print0 | xargs -0 sha256sum"
      ).wall)
  }
  freshDisk()
  let peerName = "cp -r, sync, sha256sum"
  report(
    "first adoption, 10,000 x 2 kB, wall", ours.median, peer.median, unit: "s", peerName: peerName, bound: "at most 1.5"
  )
  report(
    "the same with --into, wall", withTree.median, peer.median, unit: "s", peerName: peerName, bound: "not bounded")
}

/// One document of 1 GiB: peak memory against one of 1 kB, and speed against hashing and copying it.
func largeDocumentBenchmark() {
  var large: [Cost] = []
  var small: [Cost] = []
  var peer: [Double] = []
  var durablePeer: [Double] = []
  for _ in 0..<3 {
    freshDisk()
    small.append(Measure.run(follow("one-small", "disk/store")))
    freshDisk()
    large.append(Measure.run(follow("one-large", "disk/store")))
    let document = "one-large/document"
    freshDisk()
    peer.append(Measure.shell("cd \(site); openssl dgst -sha256 \(document); cp \(document) disk/copy").wall)
    freshDisk()
    durablePeer.append(
      Measure.shell("cd \(site); openssl dgst -sha256 \(document); cp \(document) disk/copy; sync disk/copy").wall)
  }
  _ = Measure.shell("cd \(site); umount disk 2>/dev/null || true; rm -rf disk image")
  let extra = Double(large.map(\.peak).max()! - small.map(\.peak).min()!) / Double(1 << 20)
  say("peak memory, 1 GiB above 1 kB: \(decimal(extra, 1)) MB (at most 8)")
  let speed = 1024 / large.map(\.wall).median
  report(
    "one document of 1 GiB, throughput", speed, 1024 / peer.median, unit: "MB/s", peerName: "openssl dgst and cp",
    bound: "at least 0.8; ours is on the disk when it ends, the copy is not")
  report(
    "the same, with the copy synced as well", speed, 1024 / durablePeer.median, unit: "MB/s",
    peerName: "openssl dgst, cp and sync", bound: "not bounded")
}

/// From the publisher's rename of manifest.json to a verified update, without a poll in between.
func hintBenchmark() async throws {
  let drop = "\(site)/drop-hint"
  let rounds = 60
  _ = Measure.shell(
    """
    mkdir -p \(drop)/documents \(drop)/signatures; cd \(site); mkdir -p prepared
    for version in $(seq \(rounds)); do
      printf 'version %s\\n' $version > document; digest=$(sha256sum < document | cut -c1-64)
      cp document \(drop)/documents/sha256-$digest
      printf '{"manifestVersion":%s,"bundle":null,"deployments":[{"deploymentId":"d","digest":"sha256:%s"}]}' $version $digest > prepared/$version
      ssh-keygen -q -Y sign -n desired-state -f key < prepared/$version > \(drop)/signatures/sha256-$(sha256sum < prepared/$version | cut -c1-64).sig
    done
    """)
  let trust = try await AllowedSigners.read("\(site)/trust")
  let seen = Mutex<(verified: Double, adopted: UInt64?)>((0, nil))
  let store = try await StateStore.open("\(site)/store-hint")
  let reconciler = Reconciler(
    sources: [FileBackend(path: drop)], store: store,
    configuration: .init(
      policy: .signatures(by: trust), device: "bench",
      // Publications follow one another here more quickly than a device need heed.
      schedule: Schedule(interval: .seconds(3600), leastHintInterval: .zero),
      logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }),
    observe: { event in
      switch event.kind {
      case .verified: seen.withLock { $0.verified = Measure.now() }
      case .adopted: seen.withLock { $0.adopted = event.version }
      default: break
      }
    },
    apply: { _ in })
  let task = Task { await reconciler.run() }
  try await Task.sleep(for: .milliseconds(300))
  var latencies: [Double] = []
  for version in 1...rounds {
    let start = Measure.now()
    rename("\(site)/prepared/\(version)", "\(drop)/manifest.json")
    while seen.withLock({ $0.adopted }) != UInt64(version) {
      precondition(Measure.now() - start < 30, "version \(version) was never adopted")
      try await Task.sleep(for: .milliseconds(2))
    }
    latencies.append((seen.withLock { $0.verified } - start) * 1000)
    // Let the cycle end, so that the next rename finds the loop waiting.
    try await Task.sleep(for: .milliseconds(30))
  }
  task.cancel()
  await task.value
  let worst = latencies.max()!
  say(
    "publisher's rename to verified update: median \(decimal(latencies.median, 2)) ms, worst \(decimal(worst, 2)) ms (median at most 10)"
  )
}

/// How large the program is, and how much memory it holds while it waits for the next poll.
func sizeBenchmark() {
  var status = stat()
  stat(program, &status)
  say("stripped release with the standard library inside: \(decimal(Double(status.st_size) / Double(1 << 20), 1)) MB")
  _ = Measure.shell(
    """
    cd \(site); \(program) follow drop-one-small --store store-idle --trust trust >/dev/null & agent=$!
    sleep 3; grep -E '^(VmRSS|RssAnon)' /proc/$agent/status > idle; kill $agent; wait $agent
    """)
  let idle = (try? String(contentsOfFile: "\(site)/idle", encoding: .utf8)) ?? ""
  say(
    "idle while following: "
      + idle.split(separator: "\n").map { $0.split(separator: " ").dropFirst().joined(separator: " ").description }
      .joined(separator: " resident, ") + " of it private")
}
