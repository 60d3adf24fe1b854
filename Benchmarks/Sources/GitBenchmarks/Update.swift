import Measuring

/// One 2 kB document of 200 changed, again and again: round trips, bytes, processor time, and what stays on the disk.
func updateBenchmark() async throws {
  let repository = Repository("update", count: 200)
  var agent = try await Follower(try repository.backend(store: "store-bare"))
  let whole = try await repository.agent(store: "store-update")
  try await agent.look()
  try await whole.look()
  _ = Measure.shell("cd \(site.directory); rm -rf peer; \(Repository.git) clone -q \(repository.url) peer 2>/dev/null")

  func updates(_ count: Int) async throws -> (cpu: [Double], bytes: [Double], requests: Int) {
    var cpu: [Double] = []
    var bytes: [Double] = []
    var requests = 0
    for _ in 0..<count {
      repository.change()
      let before = site.requests()
      _ = line.takeBytes()
      let start = Measure.cpu()
      try await agent.look()
      cpu.append((Measure.cpu() - start) * 1000)
      bytes.append(Double(line.takeBytes()))
      requests += site.requests() - before
      try await whole.look()
    }
    return (cpu, bytes, requests)
  }

  func pollCost() async throws -> Double {
    let start = Measure.cpu()
    for _ in 0..<50 { try await agent.look() }
    return (Measure.cpu() - start) / 50 * 1000
  }

  var peer: [Double] = []
  var peerBytes: [Double] = []
  for _ in 0..<7 {
    repository.change()
    _ = line.takeBytes()
    peer.append(Measure.shell("cd \(site.directory)/peer; \(Repository.git) fetch -q origin main").cpu * 1000)
    peerBytes.append(Double(line.takeBytes()))
  }
  try await agent.look()
  let firstPoll = try await pollCost()
  let first = try await updates(15)
  say(
    "one document of 200 changed: \(decimal(Double(first.requests) / 15 - 1, 1)) round trips after the poll's answer (at most 3)"
  )
  report(
    "one document of 200 changed, bytes", first.bytes.median, peerBytes.median, unit: "B", peerName: "git fetch",
    bound: "at most 1")
  report(
    "one document of 200 changed, CPU", first.cpu.median, peer.median, unit: "ms", peerName: "git fetch",
    bound: "at most 0.1")
  _ = try await updates(470)
  let last = try await updates(15)
  let lastPoll = try await pollCost()
  // Bytes of content and not of blocks: file systems differ in those.
  let stored = Measure.output(["sh", "-c", "du -sb \(site.directory)/store-update | cut -f1"])
  let live = 200.0 * 2048
  say(
    "device storage after 500 updates: \(decimal((Double(stored) ?? .nan) / 1e6, 2)) MB, at most twice the live documents and 1 MB: \(decimal((2 * live + 1e6) / 1e6, 2)) MB"
  )
  report(
    "poll after 500 updates, CPU", lastPoll, firstPoll, unit: "ms", peerName: "before them", bound: "at most 1.2")
  report(
    "update after 500 updates, CPU", last.cpu.median, first.cpu.median, unit: "ms", peerName: "the first ones",
    bound: "at most 1.2")
}

/// First sync of a repository with 10,000 commits.
func firstSyncBenchmark() async throws {
  let repository = Repository("long", count: 200)
  _ = Measure.shell(
    """
    cd \(repository.path); git config commit.gpgSign false
    { for number in $(seq 10000); do
        printf 'commit refs/heads/main\\ncommitter ops <ops@plant.example> %s +0000\\ndata 1\\nx\\n' $((1700000000 + number))
        test $number = 1 && echo "from $(git rev-parse main)"
        text="document $number $(head -c 900 /dev/urandom | base64 -w 0)"
        printf 'M 100644 inline document-aaaa\\ndata %s\\n%s\\n' ${#text} "$text"
      done; } | git fast-import --quiet --force
    git reset -q --hard; git config commit.gpgSign true; echo last > document-aaab; git commit -q -a -m last
    git push -q origin main
    """)
  let agent = try await repository.agent(store: "store-long")
  _ = line.takeBytes()
  try await agent.look()
  let ours = Double(line.takeBytes())
  _ = Measure.shell("cd \(site.directory); \(Repository.git) clone -q --depth=1 \(repository.url) shallow 2>/dev/null")
  let shallow = Double(line.takeBytes())
  _ = Measure.shell("cd \(site.directory); \(Repository.git) clone -q \(repository.url) full 2>/dev/null")
  let full = Double(line.takeBytes())
  report(
    "first sync, 10,000 commits, bytes", ours / 1000, shallow / 1000, unit: "kB", peerName: "git clone --depth=1",
    bound: "at most 1.2")
  say("the same by git clone: \(decimal(full / 1000, 1)) kB")
}
