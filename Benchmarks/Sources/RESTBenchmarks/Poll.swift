import FoundationEssentials
import HTTPTransport
import HTTPTypes
import Measuring

func pollBenchmark() async throws {
  _ = Measure.shell("cd \(site.www); head -c 30000 /dev/urandom | base64 > manifest.json")
  var configuration = HTTPTransportConfiguration()
  configuration.tls.trust = .only(file: site.authority)
  configuration.tls.clientCertificate = HTTPClientCertificate(certificateFile: site.certificate, keyFile: site.key)
  let transport = try HTTPTransport(configuration: configuration)
  var request = HTTPRequest(method: .get, scheme: "https", authority: "localhost:\(site.port)", path: "/manifest.json")
  let first = try await transport.send(request)
  _ = try await first.body.collect(upTo: 1 << 20)
  request.headerFields[.ifNoneMatch] = first.response.headerFields[.eTag]
  let rounds = 200
  var ours: [Double] = []
  var bytes: [Double] = []
  var peer: [Double] = []
  var peerBytes: [Double] = []
  for _ in 0..<25 {
    let before = transport.counters
    let start = Measure.cpu()
    for _ in 0..<rounds {
      let exchange = try await transport.send(request)
      precondition(exchange.response.status == 304)
      _ = try await exchange.body.collect(upTo: 1)
    }
    ours.append((Measure.cpu() - start) / Double(rounds) * 1e6)
    let used = transport.counters - before
    bytes.append(Double(used.bytesSent + used.bytesReceived) / Double(rounds))
    let line = Measure.output(
      [curlPoll, site.url("manifest.json"), site.authority, site.certificate, site.key, "\(rounds)"])
    let values = line.split(separator: " ").compactMap { Double($0) }
    peer.append(values[0])
    peerBytes.append(values[1])
  }
  report("no-change poll, CPU", ours.median, peer.median, unit: "us", peerName: "libcurl in C", bound: "at most 2")
  report(
    "no-change poll, bytes", bytes.median, peerBytes.median, unit: "B", peerName: "libcurl in C", bound: "at most 1.15")
}
