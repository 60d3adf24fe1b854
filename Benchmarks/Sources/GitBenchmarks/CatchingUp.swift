import Measuring

/// A device that missed 40 releases of a megabyte, against one that has nothing, from a server that filters and from one
/// that does not.
func catchingUpBenchmark() async throws {
  for filters in [true, false] {
    let repository = Repository("releases-\(filters)", count: 1)
    _ = Measure.shell("git -C \(repository.path).git config uploadpack.allowFilter \(filters)")
    func release() {
      _ = Measure.shell(
        """
        cd \(repository.path); head -c 1000000 /dev/urandom > firmware; git add firmware
        git commit -q -m release; git push -q origin main
        """)
    }
    release()
    var late = try await Follower(try repository.backend(store: "store-late-\(filters)"))
    try await late.look()
    for _ in 0..<40 { release() }
    _ = line.takeBytes()
    try await late.look()
    let bytes = Double(line.takeBytes())
    var fresh = try await Follower(try repository.backend(store: "store-fresh-\(filters)"))
    try await fresh.look()
    report(
      "40 releases behind\(filters ? "" : ", without filters"), bytes without 300 a commit", (bytes - 40 * 300) / 1000,
      Double(line.takeBytes()) / 1000, unit: "kB", peerName: "a fresh device", bound: "at most 1.5")
  }
}
