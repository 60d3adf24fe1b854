import Foundation
import Testing

@Suite("Bundles: a whole drop as one .tar.gz")
struct BundleTests {
  let site = try! Site()
  private var bundle: String { site.root + "/drop.tar.gz" }

  /// Makes an archive with Python's tarfile, which writes what tar(1) refuses to.
  private func archive(_ script: String) async throws {
    try await Tool.succeed(
      "python3", ["-c", "import tarfile, io, sys\nt = tarfile.open(sys.argv[1], 'w:gz')\n" + script + "\nt.close()", bundle],
      in: site.root)
  }

  private let addDrop = """
    t.add('drop/manifest.json', 'manifest.json'); t.add('drop/signatures', 'signatures'); t.add('drop/documents', 'documents')
    """

  @Test("A drop packed by tar is followed like the directory: the same revision") func packed() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    try await Tool.succeed("tar", ["czf", bundle, "-C", site.drop, "."])
    let run = try await site.follow(bundle)
    #expect(run.status == 0, "\(run)")
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n"])
    #expect(try await site.follow(site.drop).names.first == "unchanged")
  }

  @Test("publish writes a bundle when its target ends in .tar.gz, and the next version into it") func published() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    for version in ["1", "2"] {
      try site.write(version, to: "documents/a")
      try await site.publish(keys: [key], to: bundle)
      #expect(try await site.follow(bundle).status == 0)
      #expect(try site.files(below: site.current) == ["a": version])
      #expect(try await site.status().adopted?.version.map(String.init) == version)
    }
    #expect(try await site.follow(bundle).names.first == "unchanged")
    let verified = try await Tool.run(Tool.desiredState, ["verify", bundle, "--trust", site.trust])
    #expect(verified.status == 0)
  }

  @Test(
    "Entries that would lead out of it, or are no regular files, refuse the bundle",
    arguments: [
      "i = tarfile.TarInfo('../evil'); i.size = 4; t.addfile(i, io.BytesIO(b'evil'))",
      "i = tarfile.TarInfo('/tmp/evil'); i.size = 4; t.addfile(i, io.BytesIO(b'evil'))",
      "i = tarfile.TarInfo('documents/../../evil'); i.size = 4; t.addfile(i, io.BytesIO(b'evil'))",
      "i = tarfile.TarInfo('documents/link'); i.type = tarfile.SYMTYPE; i.linkname = '/etc/passwd'; t.addfile(i)",
      "i = tarfile.TarInfo('documents/hard'); i.type = tarfile.LNKTYPE; i.linkname = 'manifest.json'; t.addfile(i)",
      "i = tarfile.TarInfo('documents/device'); i.type = tarfile.CHRTYPE; i.devmajor = 1; i.devminor = 3; t.addfile(i)",
      "i = tarfile.TarInfo('documents/fifo'); i.type = tarfile.FIFOTYPE; t.addfile(i)",
    ])
  func hostileEntries(_ entry: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try await site.follow(site.drop).status == 0)
    try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
    try await archive(entry + "\n" + addDrop)
    let run = try await site.follow(bundle)
    #expect(run.status == 3, "\(run)")
    #expect(run.events.last { $0.event == "rejected" }?.code == "manifest-malformed", "\(run)")
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n"])
    #expect(!site.exists(site.root + "/evil") && !site.exists("/tmp/evil"))
  }

  @Test("A bundle that inflates to 100 GB is refused without being inflated") func bomb() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    // One gzip member of zeros repeated: 100 GB of document in a file of about 100 MB.
    try await Tool.succeed(
      "python3",
      [
        "-c",
        """
        import gzip, tarfile, sys, io
        size = 100 << 30
        info = tarfile.TarInfo('documents/sha256-' + '0' * 64); info.size = size
        header = info.tobuf(tarfile.GNU_FORMAT)
        member = gzip.compress(bytes(1 << 26), 9)
        with open(sys.argv[1], 'wb') as f:
            f.write(gzip.compress(header))
            for _ in range(size >> 26): f.write(member)
        """, bundle,
      ])
    let run = try await Tool.run(
      "/usr/bin/time",
      ["-f", "peak %M", Tool.desiredState, "follow", bundle, "--store", site.store, "--once", "--json", "--trust", site.trust])
    #expect(run.status == 3, "\(run)")
    #expect(run.events.last { $0.event == "rejected" }?.code == "limit-exceeded", "\(run)")
    let peak = run.complaint.split(separator: "\n").last { $0.hasPrefix("peak ") }.flatMap { Int($0.dropFirst(5)) }
    #expect(try #require(peak) < 128 << 10, "kilobytes")
    let stored = try await Tool.succeed("du", ["-sk", site.store])
    #expect(try #require(stored.split(separator: "\t").first.flatMap { Int($0) }) < 1024)
  }

  @Test("A bundle cut short, as a copy that still runs leaves it, is not adopted, and is when it is whole") func cutShort() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let text = (0..<4000).map { "line \($0 &* 2_654_435_761)" }.joined(separator: "\n")
    try await site.publishByHand(documents: [("a", text), ("b", text + "b")], keys: [key])
    try await Tool.succeed("tar", ["czf", bundle, "-C", site.drop, "."])
    let whole = try Data(contentsOf: URL(fileURLWithPath: bundle))
    for part in [0, 1, 20, whole.count / 4, whole.count / 2, whole.count - 20] {
      try whole.prefix(part).write(to: URL(fileURLWithPath: bundle))
      let run = try await site.follow(bundle)
      #expect([3, 4, 5].contains(run.status), "\(part) bytes: \(run)")
      #expect(!site.exists(site.current))
    }
    try whole.write(to: URL(fileURLWithPath: bundle))
    #expect(try await site.follow(bundle).status == 0)
  }
}
