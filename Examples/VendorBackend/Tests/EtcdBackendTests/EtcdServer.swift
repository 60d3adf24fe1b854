import DesiredState
import DesiredStateTesting
import Foundation
import FoundationNetworking
import Glibc
import Synchronization

/// Debian's etcd on ports of its own, with data that are gone when it is.
///
/// It logs every request it is asked, and that shows every read.
final class EtcdServer: Sendable {
  let port: UInt16
  private let peerPort: UInt16
  private let directory: URL
  private let running = Mutex<(process: Process, log: Log)?>(nil)
  // What earlier runs of it were asked.
  private let past = Mutex<[Log.Request]>([])

  init() throws {
    port = try freePort()
    peerPort = try freePort()
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("etcd-\(UUID().uuidString)")
  }

  // MARK: - The process

  /// Starts it, if it does not run, on the data it had; it can be asked when this returns.
  func start() async throws {
    guard running.withLock({ $0 == nil }) else { return }
    let process = Process()
    let log = Log()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/etcd")
    let client = "http://127.0.0.1:\(port)"
    let peer = "http://127.0.0.1:\(peerPort)"
    process.arguments = [
      "--data-dir", directory.path, "--listen-client-urls", client, "--advertise-client-urls", client,
      "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=\(peer)",
      "--logger", "zap", "--log-level", "debug", "--log-outputs", "stderr",
    ]
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    pipe.fileHandleForReading.readabilityHandler = { handle in
      let data = handle.availableData
      guard data.isEmpty else { return log.add(data) }
      handle.readabilityHandler = nil
      log.end()
    }
    try process.run()
    running.withLock { $0 = (process, log) }
    try await log.wait { $0.isReady }
  }

  /// Ends it at once, as a power cut does.
  func stop() {
    guard let (process, log) = running.withLock({ $0.take() }) else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    past.withLock { $0 += log.requests }
  }

  /// Lets it hang: connections are accepted by the kernel, and get no answer.
  func pause() { signal(SIGSTOP) }
  func proceed() { signal(SIGCONT) }

  private func signal(_ signal: Int32) {
    running.withLock { running in
      if let running { kill(running.process.processIdentifier, signal) }
    }
  }

  func remove() {
    stop()
    try? FileManager.default.removeItem(at: directory)
  }

  // MARK: - Its keys

  func put(_ key: String, _ value: [UInt8]) async throws {
    _ = try await ask("put", ["key": base64(key), "value": Data(value).base64EncodedString()])
  }

  func delete(_ key: String) async throws { _ = try await ask("deleterange", ["key": base64(key)]) }

  /// The values of all keys that begin with a prefix, those written first coming first.
  func values(below prefix: String) async throws -> [[UInt8]] {
    // The end of a range is the first key beyond it: "/" + 1 is "0".
    let end = prefix.dropLast() + "0"
    let answer = try await ask(
      "range", ["key": base64(prefix), "range_end": base64(String(end)), "sort_target": "MOD"])
    return (answer.kvs ?? []).map { [UInt8]($0.value ?? Data()) }
  }

  /// How many watch it, by its own metrics.
  func watcherCount() async throws -> Int {
    let (data, _) = try await URLSession.shared.data(from: URL(string: "http://127.0.0.1:\(port)/metrics")!)
    let count = String(decoding: data, as: UTF8.self).firstMatch(of: /\netcd_debugging_mvcc_watcher_total (\d+)/)
    guard let count = count.flatMap({ Int($0.1) }) else { throw NotPossible("etcd does not count its watchers") }
    return count
  }

  /// Its traffic until now.
  func traffic(prefix: String) async throws -> SourceTraffic {
    // Requests are logged before they are answered: when this one is in the log, those before it are.
    let mark = UUID().uuidString
    _ = try await ask("range", ["key": base64(mark)])
    guard let log = running.withLock({ $0?.log }) else { throw NotPossible("etcd does not run") }
    try await log.wait { $0.requests.contains { $0.key == mark } }
    var traffic = SourceTraffic(manifestReads: 0, documentReads: [:], bytes: 0)
    for request in past.withLock({ $0 }) + log.requests {
      traffic.bytes = (traffic.bytes ?? 0) + request.size
      guard !request.isKeyOnly, request.key.hasPrefix(prefix) else { continue }
      let name = request.key.dropFirst(prefix.count)
      if name == DropLayout.manifest { traffic.manifestReads = (traffic.manifestReads ?? 0) + 1 }
      if name.hasPrefix("documents/"), let digest = Digest(fileName: name.dropFirst("documents/".count)) {
        traffic.documentReads?[digest, default: 0] += 1
      }
    }
    return traffic
  }

  private struct Reply: Decodable {
    struct Entry: Decodable { var value: Data? }
    var kvs: [Entry]?
  }

  private func base64(_ key: String) -> String { Data(key.utf8).base64EncodedString() }

  private func ask(_ call: String, _ body: [String: String]) async throws -> Reply {
    var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)/v3/kv/\(call)")!)
    request.httpMethod = "POST"
    request.httpBody = try JSONEncoder().encode(body)
    let (data, response) = try await URLSession.shared.data(for: request)
    guard (response as? HTTPURLResponse)?.statusCode == 200 else {
      throw NotPossible("etcd refused \(call): \(String(decoding: data, as: UTF8.self))")
    }
    return try JSONDecoder().decode(Reply.self, from: data)
  }
}

/// What etcd logs, line by line.
private final class Log: Sendable {
  struct Request {
    var key: String
    var isKeyOnly: Bool
    var size: UInt64
  }

  struct State {
    var rest = Data()
    var isReady = false
    var requests: [Request] = []
    var waiting: [(isOver: @Sendable (State) -> Bool, continuation: CheckedContinuation<Void, any Error>)] = []

    mutating func read(_ line: Data) {
      struct Line: Decodable {
        var msg: String
        var content: String?
        var size: UInt64?
        enum CodingKeys: String, CodingKey {
          case msg
          case content = "request content"
          case size = "response size"
        }
      }
      guard let line = try? JSONDecoder().decode(Line.self, from: line) else { return }
      if line.msg.hasPrefix("serving client traffic") { isReady = true }
      guard line.msg == "request stats", let content = line.content, let size = line.size,
        let key = content.firstMatch(of: /^key:"([^"]*)"/)?.1
      else { return }
      requests.append(
        Request(key: String(key), isKeyOnly: content.contains("keys_only:true"), size: size))
    }
  }
  private let state = Mutex(State())

  var requests: [Request] { state.withLock { $0.requests } }

  func add(_ data: Data) {
    let over = state.withLock { state in
      state.rest += data
      while let end = state.rest.firstIndex(of: UInt8(ascii: "\n")) {
        state.read(state.rest[..<end])
        state.rest = Data(state.rest[(end + 1)...])
      }
      let waiting = state.waiting
      state.waiting = waiting.filter { !$0.isOver(state) }
      return waiting.filter { $0.isOver(state) }
    }
    for waiter in over { waiter.continuation.resume() }
  }

  /// etcd is gone.
  func end() {
    let waiting = state.withLock { state in
      defer { state.waiting = [] }
      return state.waiting
    }
    for waiter in waiting { waiter.continuation.resume(throwing: NotPossible("etcd ended; is its port taken?")) }
  }

  func wait(until isOver: @escaping @Sendable (State) -> Bool) async throws {
    try await withCheckedThrowingContinuation { continuation in
      let isOverNow = state.withLock { state in
        guard !isOver(state) else { return true }
        state.waiting.append((isOver, continuation))
        return false
      }
      if isOverNow { continuation.resume() }
    }
  }
}

/// A free port of 127.0.0.1.
private func freePort() throws -> UInt16 {
  let (file, port) = try boundSocket()
  close(file)
  return port
}

private func boundSocket() throws -> (file: Int32, port: UInt16) {
  let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = inet_addr("127.0.0.1")
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      bind(file, address, length) == 0 ? getsockname(file, address, &length) : -1
    }
  }
  guard result == 0 else { throw NotPossible("no port is free: \(String(cString: strerror(errno)))") }
  return (file, UInt16(bigEndian: address.sin_port))
}

/// A port whose queue for connections is full.
final class FullSocket: Sendable {
  let port: UInt16
  private let files: [Int32]

  init() throws {
    let (file, port) = try boundSocket()
    self.port = port
    // A queue of length 0 holds one.
    listen(file, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    address.sin_port = port.bigEndian
    let first = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(first, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    files = [file, first]
    guard result == 0 else { throw NotPossible("the queue could not be filled: \(String(cString: strerror(errno)))") }
  }

  deinit { for file in files { close(file) } }
}
