import Measuring

/// 300 MB over a line that breaks after every 100 MB.
func breakingLineBenchmark() {
  site.publish("firmware", count: 1, size: 300_000_000)
  let line = Relay(relay, to: site, roundTrip: 0, cut: 100_000_000)
  let cost = Measure.run(site.follow("firmware", store: "store-firmware", port: site.relayPort))
  let bytes = Double(line.takeBytes())
  line.end()
  report(
    "300 MB over a line that breaks every 100 MB, bytes", bytes / 1e6, 300, unit: "MB", peerName: "the document",
    bound: "about 1")
  say("the same, wall: \(decimal(cost.wall, 1)) s")
}

/// 600 documents from a server that allows only so many requests a second.
func limitingServerBenchmark() {
  site.publish("limited", count: 600, size: 200)
  for rate in [50, 10] {
    _ = Measure.shell("cd \(site.directory)/www; ln -sfn limited limited-\(rate)")
    let before = site.requests()
    let cost = Measure.run(site.follow("limited-\(rate)", store: "store-limited-\(rate)"))
    // The manifest and its signature are not limited.
    let requests = Double(site.requests() - before - 2)
    report(
      "600 documents at \(rate) requests a second, requests", requests, 600, unit: "", peerName: "needed",
      bound: "at most 1.2")
    say("the same, wall: \(decimal(cost.wall, 1)) s, at that rate \(600 / rate) s")
  }
}
