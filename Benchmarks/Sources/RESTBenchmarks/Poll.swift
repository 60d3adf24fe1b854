import DesiredState
import Glibc
import HTTPTransport
import Measuring
import RESTBackend

/// A poll that finds nothing new on a kept connection, against a loop of libcurl alone, and the curl program.
func pollBenchmark() async throws {
  site.publish("poll", count: 200, size: 2048)
  // So that what the server gives to ask again by has settled.
  sleep(3)
  let transport = try site.makeTransport()
  let backend = try RESTBackend(manifest: site.url("poll/manifest.json"), transport: transport)
  let first = try await backend.fetch(FetchRequest())
  guard case .changed(let state) = first.outcome, first.marker != nil else { fatalError("nothing to poll") }
  let request = FetchRequest(current: state.revision, marker: first.marker)
  let rounds = 200
  var ours: [Double] = []
  var bytes: [Double] = []
  var peer: [Double] = []
  var peerBytes: [Double] = []
  var requests: UInt64 = 0
  for _ in 0..<25 {
    // Once before the clock starts, as the peer does: what ran in between has emptied the caches.
    guard case .unchanged = try await backend.fetch(request).outcome else { fatalError("changed") }
    let before = transport.counters
    let start = Measure.cpu()
    for _ in 0..<rounds {
      guard case .unchanged = try await backend.fetch(request).outcome else { fatalError("changed") }
    }
    ours.append((Measure.cpu() - start) / Double(rounds) * 1e6)
    let used = transport.counters - before
    requests += used.requests
    bytes.append(Double(used.bytesSent + used.bytesReceived) / Double(rounds))
    let line = Measure.output(
      [curlPoll, site.url("poll/manifest.json"), site.authority, site.certificate, site.key, "\(rounds)"])
    let values = line.split(separator: " ").compactMap { Double($0) }
    peer.append(values[0])
    peerBytes.append(values[1])
  }
  say("no-change poll: \(decimal(Double(requests) / Double(25 * rounds), 2)) round trips (1)")
  report("no-change poll, CPU", ours.median, peer.median, unit: "us", peerName: "libcurl in C", bound: "at most 2")
  report(
    "no-change poll, bytes", bytes.median, peerBytes.median, unit: "B", peerName: "libcurl in C", bound: "at most 1.15")

  let line = Relay(relay, to: site, roundTrip: 0)
  let tag = Measure.output(
    ["sh", "-c", "\(site.curl) -I \(site.url("poll/manifest.json")) | sed -n \"s/^etag: //ip\" | tr -d \"\\r\""])
  var programCost: [Double] = []
  var programBytes: [Double] = []
  for _ in 0..<11 {
    programCost.append(
      Measure.shell(
        "\(site.curl) -o /dev/null -H 'If-None-Match: \(tag)' \(site.url("poll/manifest.json", port: site.relayPort))"
      ).cpu * 1e6)
    programBytes.append(Double(line.takeBytes()))
  }
  line.end()
  report(
    "no-change poll, CPU", programCost.median, ours.median, unit: "us", peerName: "(curl program first) ours",
    bound: "at least 20")
  report(
    "no-change poll, bytes", programBytes.median, bytes.median, unit: "B", peerName: "(curl program first) ours",
    bound: "at least 15")
}

/// One 2 kB document of 200 changed: what it takes from the poll that finds out to the last byte.
func changeBenchmark() async throws {
  let transport = try site.makeTransport()
  let backend = try RESTBackend(manifest: site.url("poll/manifest.json"), transport: transport)
  let first = try await backend.fetch(FetchRequest())
  guard case .changed(let old) = first.outcome else { fatalError("nothing published") }
  let held = Set(try StateManifest(parsing: old.manifest).documents.map(\.digest))
  _ = Measure.shell(
    """
    cd \(site.directory); head -c 2048 /dev/urandom > poll/document-aaaa; \(program) publish poll --to www/poll --key key
    gzip -c www/poll/manifest.json > manifest.gz
    """)
  let before = transport.counters
  guard
    case .changed(let state) = try await backend.fetch(FetchRequest(current: old.revision, marker: first.marker))
      .outcome
  else { fatalError("unchanged") }
  var content = 0
  let missing = try StateManifest(parsing: state.manifest).documents.filter { !held.contains($0.digest) }
  for document in state.documents.readingOrder(of: missing) {
    for try await piece in try await state.documents.open(document) { content += piece.count }
  }
  precondition(content == 2048)
  let used = transport.counters - before
  // What would have to cross the wire in any case: the manifest as the server packs it.
  var status = stat()
  stat("\(site.directory)/manifest.gz", &status)
  content += Int(status.st_size) + state.signatures.reduce(0) { $0 + $1.count }
  say("one document of 200 changed: \(used.requests - 1) round trips after the poll's answer (at most 3)")
  report(
    "one document of 200 changed, bytes", Double(used.bytesSent + used.bytesReceived), Double(content), unit: "B",
    peerName: "manifest (gzip), signature and document", bound: "at most 1.2")
}
