import DesiredState
import Foundation
import TestSupport
import Testing

@testable import FileBackend

@Suite("Fetching a bundle")
struct BundleTests {
  let folder = TemporaryDirectory()
  var drop: HandMadeDrop { .small(at: folder["drop"]) }
  var path: String { folder["drop.tar.gz"] }
  var backend: FileBackend { FileBackend(path: path) }

  /// Runs Python's tarfile: `t` is the open archive, `file(name, bytes)` adds a regular file.
  func python(_ script: String) async throws {
    let preamble = """
      import io, sys, tarfile
      path = sys.argv[1]
      def file(name, data=b'', **more):
          i = tarfile.TarInfo(name); i.size = len(data)
          for k, v in more.items(): setattr(i, k, v)
          t.addfile(i, io.BytesIO(data) if data else None)
      """
    try await run(["python3", "-c", preamble + "\n" + script, path])
  }

  /// A good drop's files, then what the script adds.
  func hostile(_ script: String, before: String = "") async throws {
    try drop.publish(version: 1)
    let add = "t.add('\(folder["drop"])', arcname='.')"
    try await python("t = tarfile.open(path, 'w:gz')\n\(before)\n\(add)\n\(script)\nt.close()")
  }

  @Test(
    "A drop packed by tar is fetched, wherever its files stand in the archive",
    arguments: [
      ["manifest.json", "signatures", "documents"], ["documents", "manifest.json", "signatures"],
      ["signatures", "documents", "manifest.json"], ["."], ["../drop"],
      ["./documents", "./signatures", "./manifest.json"],
    ], ["gnu", "pax", "ustar"])
  func packed(entries: [String], format: String) async throws {
    let revision = try drop.publish(version: 7, signature: "armored")
    let isFolder = entries == ["../drop"]
    let list = (isFolder ? ["drop"] : entries).joined(separator: " ")
    try await run(
      ["sh", "-c", "tar --format=\(format) -czf '\(path)' \(list)"], in: isFolder ? folder.path : folder["drop"])
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(state.revision == revision)
    #expect(state.signatures == [Array("armored".utf8)])
    let documents = try await state.allDocuments()
    #expect(documents == Dictionary(uniqueKeysWithValues: drop.documents.map { ($0.id, $0.bytes) }))
    #expect(try await backend.fetch(FetchRequest(current: revision)).isUnchanged)
  }

  @Test("Documents are read in the archive's order in one pass, and in any other order as well")
  func order() async throws {
    var drop = HandMadeDrop(at: folder["drop"])
    drop.documents = (0..<200).map { ("document-\($0)", Array("content \($0)".utf8)) }
    try drop.publish(version: 1)
    try await run(["tar", "-czf", path, "-C", folder["drop"], "manifest.json", "signatures", "documents"])
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    let verified = try state.verified()
    let order = verified.readingOrder(of: verified.manifest.documents)
    let listed = try await run(["tar", "-tzf", path]).split(separator: "\n").compactMap { line in
      line.hasPrefix("documents/sha") ? String(line) : nil
    }
    #expect(order.map { $0.url! } == listed)
    for document in order.reversed().prefix(20) + order.prefix(20) {
      #expect(Digest.of(try await collect(verified.open(document))) == document.digest)
    }
  }

  @Test("Several documents can be read at once, and one that is given up disturbs nobody")
  func concurrent() async throws {
    var drop = HandMadeDrop(at: folder["drop"])
    drop.documents = (0..<6).map { index in
      ("large-\(index)", (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* (index + 3) >> 4) })
    }
    try drop.publish(version: 1)
    try await run(["tar", "-czf", path, "-C", folder["drop"], "manifest.json", "signatures", "documents"])
    let verified = try #require(try await backend.fetch(FetchRequest()).state).verified()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for document in verified.manifest.documents {
        group.addTask {
          for try await _ in try await verified.open(document) { break }
          let bytes = try await collect(verified.open(document))
          #expect(Digest.of(bytes) == document.digest)
        }
      }
      try await group.waitForAll()
    }
  }

  @Test(
    "An entry that has no place in a bundle condemns all of it, also behind everything that is needed",
    arguments: [
      ("file('../evil', b'x')", "'..'"), ("file('documents/../../evil', b'x')", "'..'"),
      ("file('/etc/evil', b'x')", "absolute"), ("file('..', type=tarfile.DIRTYPE)", "'..'"),
      ("file('l', type=tarfile.SYMTYPE, linkname='/etc/passwd')", "symbolic link"),
      ("file('l', type=tarfile.LNKTYPE, linkname='manifest.json')", "hard link"),
      ("file('d', type=tarfile.CHRTYPE, devmajor=1, devminor=5)", "device"),
      ("file('d', type=tarfile.BLKTYPE, devmajor=7, devminor=0)", "device"),
      ("file('f', type=tarfile.FIFOTYPE)", "FIFO"),
      ("file('manifest.json', b'{}')", "twice"), ("file('./x', b'1'); file('x', b'2')", "twice"),
      ("file('x', b'1'); file('x/', type=tarfile.DIRTYPE)", "twice"),
    ])
  func hostileEntry(script: String, reason: String) async throws {
    for isFirst in [false, true] where !(isFirst && script.contains("manifest.json'")) {
      if isFirst { try await hostile("", before: script) } else { try await hostile(script) }
      let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
      #expect(error.code == .manifestMalformed)
      #expect(error.reason.contains(reason), "\(error)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder["evil"]))
  }

  @Test("Too many entries, too large ones, too many signatures are over the limit")
  func limits() async throws {
    for (script, limits) in [
      ("for n in range(1300): file('x%d' % n, b'x')", Limits(documentCount: 100)),
      ("file('x', b'x' * 1001)", Limits(documentSize: 1000)),
      ("for n in range(20): file('x%d' % n, b'x' * 900)", Limits(manifestSize: 2000, totalSize: 10_000)),
      ("for n in range(20): file('signatures/%d.sig' % n, b'x' * 90)", Limits(evidenceSize: 100)),
      ("file('signatures/x.sig', b'x' * 101)", Limits(evidenceSize: 100)),
      ("", Limits(manifestSize: 100)),
    ] {
      try await hostile(script)
      let error = try await thrown(VerificationError.self) {
        _ = try await backend.fetch(FetchRequest(limits: limits))
      }
      #expect(error.code == .limitExceeded, "\(script): \(error)")
    }
  }

  @Test(
    "A bundle that inflates to 100 GB is refused soon",
    arguments: ["one entry", "many entries", "a lying header", "padding", "the manifest"])
  func bomb(kind: String) async throws {
    // A sequence of gzip members, each of 64 MiB of zeros, makes 100 GB from one repeated block.
    let script = """
      import gzip, zlib
      def member(data):
          c = zlib.compressobj(9, zlib.DEFLATED, 31); return c.compress(data) + c.flush()
      def header(name, size, type=tarfile.REGTYPE):
          i = tarfile.TarInfo(name); i.size = size; i.type = type
          return i.tobuf(tarfile.GNU_FORMAT)
      zeros = member(bytes(64 << 20))
      kind = '\(kind)'
      with open(path, 'wb') as f:
          if kind == 'one entry': f.write(member(header('x', 100 << 30)))
          elif kind == 'a lying header': f.write(member(header('x', 3 << 30)))
          elif kind == 'padding': f.write(member(header('x', 4 << 20)))
          elif kind == 'the manifest': f.write(member(header('manifest.json', 100 << 30)))
          for n in range(1600):
              if kind == 'many entries': f.write(member(header('x%d' % n, 64 << 20)))
              f.write(zeros)
      """
    try await python(script)
    let error = try await thrown(VerificationError.self) {
      _ = try await backend.fetch(FetchRequest(timeout: .seconds(120)))
    }
    switch kind {
    // Refused by what the header says, before anything is inflated.
    case "one entry", "the manifest":
      #expect(error.code == .limitExceeded && error.reason.contains("107374182400"), "\(error)")
    // Zeros where a header should be are the end of the archive: nothing behind them is looked at.
    case "padding": #expect(error.code == .manifestMalformed && error.reason.contains("no manifest.json"), "\(error)")
    default: #expect(error.code == .limitExceeded && error.reason.contains("inflates"), "\(error)")
    }
  }

  @Test("Headers of headers without end are refused, in little memory")
  func endlessHeaders() async throws {
    for type in ["b'L'", "b'K'", "b'x'", "b'g'"] {
      try await python(
        """
        import gzip
        data = []
        for n in range(20000):
            i = tarfile.TarInfo('h'); i.size = 512; i.type = \(type)
            data.append(i.tobuf(tarfile.GNU_FORMAT) + b'19 comment=abcdefg\\n'.ljust(512, b'\\0'))
        open(path, 'wb').write(gzip.compress(b''.join(data)))
        """)
      let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
      #expect([.manifestMalformed, .documentMissing].contains(error.code), "\(error)")
    }
    try await python(
      """
      import gzip
      i = tarfile.TarInfo('h'); i.size = 60 << 30; i.type = b'L'
      open(path, 'wb').write(gzip.compress(i.tobuf(tarfile.GNU_FORMAT) + b'x' * 4096))
      """)
    let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
    #expect([.manifestMalformed, .documentMissing].contains(error.code), "\(error)")
  }

  @Test("A half-copied bundle is never adopted, and is looked at again")
  func halfCopied() async throws {
    var drop = HandMadeDrop.small(at: folder["drop"])
    drop.documents.append(("noise", (0..<40_000).map { _ in UInt8.random(in: 0...255) }))
    let revision = try drop.publish(version: 1)
    try await run(
      ["tar", "-czf", folder["whole.tar.gz"], "-C", folder["drop"], "manifest.json", "signatures", "documents"])
    let whole = try contents(of: folder["whole.tar.gz"])
    let backend = backend
    for count in [0, 1, 2, 3, 10, 18, 100, 500, 1000, whole.count / 2, whole.count - 2000] {
      try write(Array(whole.prefix(count)), to: path)
      let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
      #expect(error.code == .documentMissing, "\(count) of \(whole.count) bytes: \(error)")
      #expect(error.isTransient)
    }
    try write(whole, to: path)
    #expect(try await backend.fetch(FetchRequest()).state?.revision == revision)
  }

  @Test(
    "What is no bundle is refused with a reason",
    arguments: ["text", "tar", "double", "zip", "gzip of text", "no manifest", "two manifests", "manifest too deep"])
  func noBundle(kind: String) async throws {
    try drop.publish(version: 1)
    let drop = folder["drop"]
    switch kind {
    case "text": try write("this is a text", to: path)
    case "tar": try await run(["tar", "-cf", path, "-C", drop, "."])
    case "double":
      try await run(["tar", "-czf", folder["once.gz"], "-C", drop, "."])
      try await run(["sh", "-c", "gzip -c '\(folder["once.gz"])' > '\(path)'"])
    case "zip": try await run(["python3", "-c", "import zipfile; zipfile.ZipFile('\(path)', 'w').writestr('a', 'b')"])
    case "gzip of text": try await run(["sh", "-c", "seq 1 10000 | gzip > '\(path)'"])
    case "no manifest": try await run(["tar", "-czf", path, "-C", drop, "documents"])
    case "two manifests":
      try await python(
        "t = tarfile.open(path, 'w:gz'); file('a/manifest.json', b'{}'); file('b/manifest.json', b'{}'); t.close()")
    default: try await python("t = tarfile.open(path, 'w:gz'); file('a/b/manifest.json', b'{}'); t.close()")
    }
    let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
    #expect(error.code == .manifestMalformed, "\(error)")
    #expect(error.reason.contains("drop.tar.gz"))
  }

  @Test("A FIFO at the path of the bundle is refused without waiting for its other end")
  func fifo() async throws {
    try #require(mkfifo(path, 0o644) == 0)
    let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
    #expect(error.code == .manifestMalformed)
  }

  @Test("A document that the bundle lacks is document-missing, one that is tampered with a digest mismatch")
  func incomplete() async throws {
    try drop.publish(version: 1)
    let first = drop.references[0]
    try write("omega\n", to: folder["drop/" + first.url!])
    try FileManager.default.removeItem(atPath: folder["drop/" + drop.references[1].url!])
    try await run(["tar", "-czf", path, "-C", folder["drop"], "."])
    let verified = try #require(try await backend.fetch(FetchRequest()).state).verified()
    for (index, code) in [(0, VerificationError.Code.digestMismatch), (1, .documentMissing)] {
      let error = try await thrown(VerificationError.self) {
        _ = try await collect(verified.open(verified.manifest.documents[index]))
      }
      #expect(error.code == code)
    }
  }

  @Test("A bundle that is replaced while it is read is still read as it was")
  func replaced() async throws {
    try drop.publish(version: 1)
    try await run(["tar", "-czf", path, "-C", folder["drop"], "."])
    let backend = backend
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    try write("another", to: folder["other"])
    try #require(rename(folder["other"], path) == 0)
    #expect(try await state.allDocuments().count == 3)
    await #expect(throws: VerificationError.self) { _ = try await backend.fetch(FetchRequest(current: state.revision)) }
  }

  @Test("An unchanged bundle is not read again, and one that changed is, whatever its time stamps say")
  func remembered() async throws {
    try drop.publish(version: 1)
    // The manifest stands last: only remembering it saves reading everything.
    try await run(["tar", "-czf", path, "-C", folder["drop"], "signatures", "documents", "manifest.json"])
    let backend = FileBackend(path: path, settling: .zero)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    let read = try bytesRead { _ = try await backend.fetch(FetchRequest(current: state.revision)) }
    #expect(try await read() < 4096)
    let again = try drop.publish(version: 2)
    try await run(["tar", "-czf", path, "-C", folder["drop"], "signatures", "documents", "manifest.json"])
    #expect(try await backend.fetch(FetchRequest(current: state.revision)).state?.revision == again)
  }

  /// What an operation reads, in bytes, as the kernel counts for this process; other tests may add to it.
  private func bytesRead(_ work: @escaping () async throws -> Void) throws -> () async throws -> Int {
    {
      var least = Int.max
      for _ in 0..<20 {
        let before = try Self.counted()
        try await work()
        least = min(least, try Self.counted() - before)
      }
      return least
    }
  }

  private static func counted() throws -> Int {
    let text = try String(contentsOfFile: "/proc/thread-self/io", encoding: .utf8)
    return Int(text.split(separator: "\n")[0].split(separator: " ")[1])!
  }

  @Test("A mutated bundle never crashes the reader and never gives a wrong document")
  func fuzz() async throws {
    var drop = HandMadeDrop.small(at: folder["drop"])
    drop.documents.append(("noise", (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }))
    let revision = try drop.publish(version: 1)
    try await run(
      [
        "tar", "--format=pax", "-czf", folder["good.tar.gz"], "-C", folder["drop"], "manifest.json", "signatures",
        "documents",
      ])
    try await run(["sh", "-c", "gzip -dc '\(folder["good.tar.gz"])' > '\(folder["good.tar"])'"])
    let good = try contents(of: folder["good.tar.gz"])
    let tar = try contents(of: folder["good.tar"])
    let expected = Dictionary(uniqueKeysWithValues: drop.documents.map { ($0.id, $0.bytes) })
    var random = SplitMix(state: 0x5EED)
    var adopted = 0
    for round in 0..<300 {
      if round.isMultiple(of: 2) {
        try write(mutated(good, &random), to: path)
      } else {
        // Mutations of the tar stream itself, stored uncompressed, so that they get past gzip.
        try write(gzipStored(mutated(tar, &random)), to: path)
      }
      do {
        guard let state = try await backend.fetch(FetchRequest()).state else { continue }
        let verified = try state.verified()
        for document in verified.readingOrder(of: verified.manifest.documents) {
          let bytes = try await collect(verified.open(document))
          #expect(Digest.of(bytes) == document.digest)
          if state.revision == revision { #expect(bytes == expected[document.id]) }
        }
        adopted += 1
      } catch is VerificationError {
      }
    }
    #expect(adopted > 0)
  }

  private func mutated(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...600, using: &random)))
      case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 512)], at: at)
      default: bytes.removeLast(bytes.count - at)
      }
    }
    return bytes
  }

  /// A gzip file of stored blocks (RFC 1951 section 3.2.4); libarchive does not check the trailer's sums.
  private func gzipStored(_ bytes: [UInt8]) -> [UInt8] {
    var out: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
    var rest = bytes[...]
    repeat {
      let block = rest.prefix(65535)
      rest = rest.dropFirst(65535)
      let count = UInt16(block.count)
      out += [rest.isEmpty ? 1 : 0, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
      out += block
    } while !rest.isEmpty
    return out + [UInt8](repeating: 0, count: 8)
  }
}

/// A seeded generator (Steele, Lea and Flood 2014), so that a failing round can be repeated.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
