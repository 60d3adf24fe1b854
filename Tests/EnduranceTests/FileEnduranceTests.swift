import DesiredState
import DropPublisher
import Foundation
import TestSupport
import Testing

@testable import FileBackend

@Suite("The file backend under way", .serialized)
struct FileEnduranceTests {
  let folder = TemporaryDirectory()

  func publish(_ name: String, count: Int = 3) async throws -> Publication {
    for index in 0..<count { try write("document \(index)", to: folder["source/\(index)"]) }
    let writer = DropWriter(path: folder[name])
    return try await writer.publish(writer.documents(in: folder["source"]), signer: TextSigner())
  }

  @Test("The registry makes one for paths and file: URLs")
  func registry() throws {
    var registry = BackendRegistry()
    FileBackend.register(in: &registry)
    #expect(registry.schemes == ["file"])
    let context = BackendContext(device: "press-42", settings: BackendSettings { $0[.trustedAuthorities] = "x" })
    for (address, source) in [
      ("/a//b/./c/", "/a/b/c"), ("file:///a/b%20c", "/a/b c"), ("/a/../b", "/a/../b"), ("/", "/"),
      ("x", FileManager.default.currentDirectoryPath + "/x"),
      ("./x?y", FileManager.default.currentDirectoryPath + "/x?y"),
    ] {
      #expect(try registry.backend(for: address, context: context).source == source)
    }
    #expect(throws: SourceAddressError.self) { _ = try registry.backend(for: "file:///a?b=c", context: context) }
    #expect(throws: SourceAddressError.self) { _ = try registry.backend(for: "file://host/a", context: context) }
  }

  @Test("An unchanged drop of 10,000 documents is looked at without opening anything but its manifest")
  func nothingOpened() async throws {
    let publication = try await publish("drop", count: 10_000)
    let drop = folder["drop"]
    let inotify = inotify_init1(Int32(IN_NONBLOCK))
    defer { close(inotify) }
    for name in ["", "/documents", "/signatures"] {
      try #require(inotify_add_watch(inotify, drop + name, UInt32(IN_OPEN) | UInt32(IN_ACCESS)) >= 0)
    }
    func opened() -> Set<String> {
      var names: Set<String> = []
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while case let count = read(inotify, &buffer, buffer.count), count > 0 {
        var offset = 0
        while offset < count {
          let event = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: inotify_event.self) }
          let name = buffer[offset + 16..<offset + 16 + Int(event.len)].prefix { $0 != 0 }
          names.insert(String(decoding: name, as: UTF8.self))
          offset += 16 + Int(event.len)
        }
      }
      return names
    }
    let backend = FileBackend(path: drop)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    _ = try await collect(try state.verified().open(publication.manifest.documents[0]))
    // The test sees every open…
    #expect(opened().isSuperset(of: ["manifest.json", publication.manifest.documents[0].digest.fileName]))
    for _ in 0..<5 { #expect(try await backend.fetch(FetchRequest(current: publication.revision)).isUnchanged) }
    // …and when nothing has changed, that is the directory itself and the manifest.
    #expect(opened() == ["", "manifest.json"])
  }

  @Test("Thousands of small documents are read from a drop and from a bundle")
  func many() async throws {
    _ = try await publish("drop", count: 3000)
    _ = try await publish("drop.tar.gz", count: 3000)
    for name in ["drop", "drop.tar.gz"] {
      let state = try #require(try await FileBackend(path: folder[name]).fetch(FetchRequest()).state)
      let before = Holdings().memory
      let began = clock()
      #expect(try await state.allDocuments().count == 3000)
      let seconds = Double(clock() - began) / Double(CLOCKS_PER_SEC)
      print(
        "3000 documents of \(name) in \(seconds) s of processor time, memory grew by \(Holdings().memory - before) kB")
    }
  }

  /// The address sanitizer keeps freed memory for a while.
  private static let isSanitized = dlsym(nil, "__asan_init") != nil

  @Test("One large document is read in flat memory", .disabled(if: isSanitized), arguments: ["drop", "drop.tar.gz"])
  func flatMemory(name: String) async throws {
    try FileManager.default.createDirectory(atPath: folder["source"], withIntermediateDirectories: true)
    try await run(["sh", "-c", "head -c 300000000 /dev/urandom > '\(folder["source/large"])'"])
    _ = try await publish(name)
    let state = try #require(try await FileBackend(path: folder[name]).fetch(FetchRequest()).state)
    let verified = try state.verified()
    let large = try #require(verified.manifest.documents.first { $0.id == "large" })
    let before = Holdings().memory
    var most = before
    for try await _ in try await verified.open(large) { most = max(most, Holdings().memory) }
    print("reading 300 MB from \(name): memory grew by \(most - before) kB")
    #expect(most - before < 30_000)
  }

  @Test("Descriptors are level after 500 fetches of each kind", arguments: ["drop", "drop.tar.gz", "source"])
  func descriptors(name: String) async throws {
    _ = try await publish(name == "source" ? "drop" : name)
    let backend = FileBackend(path: folder[name])
    let before = Holdings().descriptors
    for round in 0..<500 {
      let state = try #require(try await backend.fetch(FetchRequest()).state)
      if round % 10 == 0 { _ = try await state.allDocuments() }
    }
    // Other tests open some of their own.
    #expect(Holdings().descriptors < before + 100)
  }

  @Test("Many fetches at once, of one backend, all see the state", arguments: ["drop", "drop.tar.gz", "source"])
  func concurrent(name: String) async throws {
    _ = try await publish(name == "source" ? "drop" : name, count: 50)
    let backend = FileBackend(path: folder[name])
    let isDrop = name == "drop"
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<40 {
        group.addTask {
          let state = try #require(try await backend.fetch(FetchRequest()).state)
          #expect(try await state.allDocuments().count == 50)
          if isDrop {
            try await backend.acknowledge(
              Acknowledgement(
                id: "\(index)", device: "press-42", revision: state.revision, adoptedManifestVersion: 1, time: Date(),
                outcome: .adopted))
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test(
    "While a publisher replaces the state over and over, every poll gives one state, whole",
    arguments: ["drop", "drop.tar.gz"])
  func publishing(name: String) async throws {
    let first = try await publish(name)
    let path = folder[name]
    let source = folder["source"]
    let publisher = Task {
      var version: UInt64 = 1
      while !Task.isCancelled {
        version += 1
        try write("version \(version)", to: source + "/0")
        let writer = DropWriter(path: path)
        _ = try await writer.publish(writer.documents(in: source), signer: TextSigner())
      }
    }
    let backend = FileBackend(path: path)
    var newest = try #require(first.manifest.version)
    for _ in 0..<60 {
      guard let state = try await backend.fetch(FetchRequest()).state else { continue }
      let documents = try await state.allDocuments()
      let version = try #require(try StateManifest(parsing: state.manifest).version)
      #expect(version >= newest)
      newest = version
      #expect(state.signatures == [Array("signature of \(state.revision.digest)\n".utf8)])
      #expect(version == 1 || documents["0"] == Array("version \(version)".utf8))
    }
    publisher.cancel()
    _ = await publisher.result
  }

  @Test(
    "Cancelling ends a fetch and a reading at once, and the backend stays usable", arguments: ["drop.tar.gz", "source"])
  func cancellation(name: String) async throws {
    try FileManager.default.createDirectory(atPath: folder["source"], withIntermediateDirectories: true)
    try await run(["sh", "-c", "head -c 200000000 /dev/urandom > '\(folder["source/large"])'"])
    _ = try await publish(name == "source" ? "drop" : name)
    let backend = FileBackend(path: folder[name])
    // Cancelled at different points of the work.
    for count in [0, 10, 1000, 10_000] {
      let task = Task { try await backend.fetch(FetchRequest()) }
      for _ in 0..<count { await Task.yield() }
      let began = ContinuousClock.now
      task.cancel()
      if case .failure(let error) = await task.result { #expect(error is CancellationError) }
      #expect(ContinuousClock.now - began < .seconds(2))
    }
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    let verified = try state.verified()
    let large = try #require(verified.manifest.documents.first { $0.id == "large" })
    let before = try #require(bytesRead())
    let task = Task { try await collect(verified.open(large)) }
    try await until("some of the document is read") { try #require(bytesRead()) > before + 1 << 20 }
    task.cancel()
    if case .failure(let error) = await task.result { #expect(error is CancellationError) }
    #expect(try await state.allDocuments().count == 4)
  }

  @Test(
    "A file system that does not answer is a timeout that says to check the mount",
    .enabled(if: getuid() == 0, "stalling a directory with fanotify(7) needs root"))
  func timeout() async throws {
    _ = try await publish("drop")
    let backend = FileBackend(path: folder["drop"])
    var stalled: StalledDirectory? = try StalledDirectory(folder["drop"])
    let error = try await thrown(BackendError.self) {
      _ = try await backend.fetch(FetchRequest(timeout: .milliseconds(100)))
    }
    withExtendedLifetime(stalled) {}
    stalled = nil
    #expect(error.code == .timeout && error.isRetryable)
    #expect(error.message.contains("mount"), "\(error)")
    #expect(try await backend.fetch(FetchRequest()).state != nil)
  }
}
