import Measuring

/// A poll that finds nothing new on a kept connection, with few branches and with many.
func pollBenchmark() async throws {
  let repository = Repository("poll", count: 200)
  var agent = try await Follower(try repository.backend(store: "store-poll"))
  try await agent.look()
  _ = Measure.shell("cd \(site.directory); \(Repository.git) clone -q \(repository.url) peer 2>/dev/null")
  for branches in [1, 5000] {
    if branches > 1 {
      _ = Measure.shell(
        """
        cd \(repository.path).git; commit=$(git rev-parse main)
        for number in $(seq \(branches - 1)); do echo "create refs/heads/branch-$number $commit"; done | git update-ref --stdin
        git pack-refs --all
        """)
    }
    try await agent.look()
    let rounds = 50
    var ours: [Double] = []
    var listing: [Double] = []
    var fetching: [Double] = []
    let requests = site.requests()
    _ = line.takeBytes()
    for _ in 0..<rounds { try await agent.look() }
    let bytes = Double(line.takeBytes()) / Double(rounds)
    say(
      "no-change poll, \(branches) branches: \(decimal(Double(site.requests() - requests) / Double(rounds), 2)) round trips (1), \(decimal(bytes, 0)) bytes (at most 600)"
    )
    for _ in 0..<7 {
      let start = Measure.cpu()
      for _ in 0..<rounds { try await agent.look() }
      ours.append((Measure.cpu() - start) / Double(rounds) * 1000)
      listing.append(Measure.shell("\(Repository.git) ls-remote \(repository.url) main >/dev/null").cpu * 1000)
      fetching.append(Measure.shell("cd \(site.directory)/peer; \(Repository.git) fetch -q origin main").cpu * 1000)
    }
    report(
      "no-change poll, \(branches) branches, CPU", ours.median, listing.median, unit: "ms", peerName: "git ls-remote",
      bound: "at most 0.02")
    report(
      "no-change poll, \(branches) branches, CPU", ours.median, fetching.median, unit: "ms", peerName: "git fetch",
      bound: "at most 0.02")
  }
}
