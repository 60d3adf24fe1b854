import Glibc
import Measuring

/// First sync of 1,000 documents of 2 kB, against the curl program that fetches the same URLs over one connection.
func firstSyncBenchmark() {
  site.publish("thousand", count: 1000, size: 2048)
  // The same documents once more, with an archive of all of them.
  _ = Measure.shell("cd \(site.directory); \(program) publish thousand --to www/bundled --key key --bundle")
  _ = Measure.shell(
    """
    cd \(site.directory); mkdir got
    for file in manifest.json $(cd www/thousand; ls signatures/* documents/*); do
      printf 'url = "%s"\\noutput = "%s"\\n' "\(site.url("thousand"))/$file" "got/$(basename $file)"
    done > urls
    sed 's/:\(site.port)/:\(site.relayPort)/' urls > urls-far
    """)
  func measure(_ line: Relay?, rounds: Int) -> (ours: Double, bundled: Double, peer: Double) {
    var ours: [Double] = []
    var bundled: [Double] = []
    var peer: [Double] = []
    let port = line.map { _ in site.relayPort }
    for _ in 0..<rounds {
      _ = Measure.shell("cd \(site.directory); rm -rf store got; mkdir got; sync")
      ours.append(Measure.run(site.follow("thousand", store: "store", port: port)).wall)
      _ = Measure.shell("cd \(site.directory); rm -rf store; sync")
      bundled.append(Measure.run(site.follow("bundled", store: "store", port: port)).wall)
      let urls = line == nil ? "urls" : "urls-far"
      peer.append(
        Measure.shell(
          "cd \(site.directory); \(site.curl) --parallel --parallel-max 128 --parallel-immediate --config \(urls) 2>/dev/null"
        ).wall)
    }
    return (ours.median, bundled.median, peer.median)
  }
  let near = measure(nil, rounds: 7)
  report(
    "first sync of 1,000 documents, wall", near.ours, near.peer, unit: "s", peerName: "curl --parallel",
    bound: "at most 1.5")
  let line = Relay(relay, to: site, roundTrip: 0.1)
  let far = measure(line, rounds: 3)
  line.end()
  report(
    "the same over 100 ms, wall", far.ours, far.peer, unit: "s", peerName: "curl --parallel",
    bound: "not bounded")
  for (road, far, near, bound) in [
    ("documents", far.ours, near.ours, 12), ("bundle", far.bundled, near.bundled, 5),
  ] {
    say(
      "the same over 100 ms, by \(road): \(decimal((far - near) / 0.1, 1)) round trips of waiting (at most \(bound)), \(decimal(far, 2)) s in all"
    )
  }
}

/// Idle while following, and while one document of 1 GiB is fetched.
func memoryBenchmark() {
  site.publish("small", count: 1, size: 1024)
  site.publish("large", count: 1, size: 1 << 30)
  let small = Measure.run(site.follow("small", store: "store-small"))
  let large = Measure.run(site.follow("large", store: "store-large"))
  say(
    "peak memory, 1 GiB above 1 kB: \(decimal(Double(large.peak - small.peak) / Double(1 << 20), 1)) MB, at \(decimal(1024 / large.wall, 0)) MB/s"
  )
  let arguments = site.follow("small", store: "store-small").filter { $0 != "--once" }.joined(separator: " ")
  let idle = Measure.output(
    [
      "sh", "-c",
      "\(arguments) >/dev/null & agent=$!; sleep 3; grep -E \"^(VmRSS|RssAnon)\" /proc/$agent/status | tr -s \"\\t \" \" \" | tr \"\\n\" \" \"; kill $agent; wait $agent; echo",
    ])
  say("idle while following: \(idle)")
}
