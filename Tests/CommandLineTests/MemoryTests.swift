import Foundation
import HTTPTestSupport
import TestSupport
import Testing

/// How much memory the program takes for what a hostile source sends, beyond what a small state takes.
@Suite struct `Memory for what is hostile` {
  /// What is served: each is small on the wire or says the same in many words.
  enum Offer: String, CaseIterable {
    case longManifest, expandingManifest, nestedManifest, manyKeys, deepIDs, longAddresses, longNamesInBundle
  }

  static let bound = 64_000  // kilobytes

  let site: Site
  init() throws { site = try Site() }

  @Test(.timeLimit(.minutes(5)), arguments: Offer.allCases)
  func `no offer takes more than 64 MB above a small state`(offer: Offer) async throws {
    let certificates = try await Certificates.shared.value
    let nginx = try await Nginx.start(ports: 1) { nginx in
      NginxServer.server(
        .plain, port: nginx.ports[0], certificates,
        "root \(site.root); location /expandingManifest/ { add_header Content-Encoding gzip; }")
    }
    defer { withExtendedLifetime(nginx) {} }
    try write(Data(#"{"manifestVersion":1,"bundle":null,"deployments":[]}"#.utf8), as: "small")
    let origin = "http://127.0.0.1:\(nginx.ports[0])"
    let small = try await peak(of: "\(origin)/small/manifest.json").memory
    let source = try await make(offer) ?? "\(origin)/\(offer.rawValue)/manifest.json"
    let (status, memory) = try await peak(of: source)
    #expect(status == 3 || status == 4, "it is refused, or the server is: \(status)")
    #expect(memory - small < Self.bound, "\(small) and \(memory) kB")
  }

  /// Looks once as a device that believes everybody.
  private func peak(of source: String) async throws -> (status: Int32, memory: Int) {
    let store = site.root + "/store-\(UUID().uuidString)"
    let finished = try await Tool.run(
      "time",
      ["-f", "%M", "-o", site.root + "/peak", Tool.desiredState]
        + ["follow", "--once", "--accept-unsigned", "--device", "press-42", "--store", store, source]
        + (source.hasPrefix("http:") ? ["--insecure-http"] : []))
    let line = try #require(try site.read("peak").split(separator: "\n").last)
    return (finished.status, try #require(Int(line), "\(finished)"))
  }

  private func write(_ bytes: Data, as name: String) throws {
    let folder = URL(fileURLWithPath: site.root + "/\(name)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try bytes.write(to: folder.appendingPathComponent("manifest.json"))
  }

  /// - Returns: the source, if it is not a manifest on the server.
  private func make(_ offer: Offer) async throws -> String? {
    let digest = "sha256:" + String(repeating: "a", count: 64)
    func manifest(_ count: Int, _ entry: (Int) -> (id: String, url: String)) -> Data {
      let entries = (0..<count).map { number in
        let (id, url) = entry(number)
        return #"{"deploymentId":"\#(id)","digest":"\#(digest)","sizeBytes":1,"url":"\#(url)"}"#
      }
      return Data(#"{"manifestVersion":1,"bundle":null,"deployments":[\#(entries.joined(separator: ","))]}"#.utf8)
    }
    switch offer {
    case .longManifest:
      try write(manifest(1) { _ in ("a", String(repeating: "u", count: 62 << 20)) }, as: offer.rawValue)
    case .expandingManifest:
      try write(Data(), as: offer.rawValue)
      try await Tool.succeed(
        "sh", ["-c", "head -c 256M /dev/zero | tr '\\0' ' ' | gzip -9 > \(site.root)/\(offer.rawValue)/manifest.json"])
    case .nestedManifest:
      try write(
        Data(#"{"manifestVersion":1,"deployments":"#.utf8) + Data(repeating: UInt8(ascii: "["), count: 8 << 20),
        as: offer.rawValue)
    case .manyKeys:
      let keys = (0..<500_000).map { "\"\($0)\":0" }.joined(separator: ",")
      try write(Data("{\(keys)}".utf8), as: offer.rawValue)
    case .deepIDs:
      let path = (0..<250).map(String.init).joined(separator: "/")
      try write(manifest(3000) { ("\($0)/" + path, "documents/x") }, as: offer.rawValue)
    case .longAddresses:
      try write(manifest(1000) { ("\($0)", String(repeating: "u", count: 12_000)) }, as: offer.rawValue)
    case .longNamesInBundle:
      let bundle = site.root + "/names.tar.gz"
      try await Tool.succeed(
        "python3",
        [
          "-c",
          """
          import io, sys, tarfile
          with tarfile.open(sys.argv[1], "w:gz", format=tarfile.PAX_FORMAT) as tar:
              for number in range(300):
                  entry = tarfile.TarInfo("documents/" + "n" * (1 << 20) + str(number))
                  tar.addfile(entry, io.BytesIO())
          """, bundle,
        ])
      return bundle
    }
    return nil
  }
}
