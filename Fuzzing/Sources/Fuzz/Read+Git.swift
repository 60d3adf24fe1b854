import Dispatch

@testable import DesiredState
@testable import GitBackend

extension Read {
  /// In pieces, whose size the first byte says, as a network cuts them.
  private static func pieces(_ bytes: [UInt8]) -> [[UInt8]] {
    guard let first = bytes.first else { return [] }
    let size = Int(first) + 1
    let rest = bytes.dropFirst()
    return stride(from: rest.startIndex, to: rest.endIndex, by: size).map {
      Array(rest[$0..<min($0 + size, rest.endIndex)])
    }
  }

  private final class Pieces: ByteSource {
    private var rest: [[UInt8]]
    init(_ pieces: [[UInt8]]) { rest = pieces.reversed() }
    func next() async throws -> [UInt8]? { rest.popLast() }
  }

  static func packets(_ bytes: [UInt8]) {
    let pieces = pieces(bytes)
    let done = DispatchSemaphore(value: 0)
    Task.detached {
      let reader = PacketReader(Pieces(pieces), endsWithAnswer: true)
      _ = try? await Advertisement.read(reader, .references(.prefix("refs/heads/")))
      while (try? await reader.next()) != nil {}
      try? await reader.finish()
      let capabilities = PacketReader(Pieces(pieces), endsWithAnswer: false)
      _ = try? await Advertisement.read(capabilities, .capabilities)
      done.signal()
    }
    done.wait()
  }

  static func pack(_ bytes: [UInt8]) {
    let limiter = PackLimiter(
      PackLimiter.Bounds(packSize: 1 << 20, objectCount: 1000, objectSize: 1 << 18, totalSize: 1 << 20))
    limiter.observer = PackObserver(of: [.commit, .tree, .tag]) { _, bytes in
      Read.check(bytes.count <= 1 << 20, "an object keeps its limit")
    }
    do {
      for piece in pieces(bytes) { try limiter.pass(piece) }
      try limiter.finish()
    } catch {}
    let half = bytes.count / 2
    if let made = PackDelta.apply(Array(bytes[half...]), to: Array(bytes[..<half]), limit: 1 << 16) {
      check(made.count <= 1 << 16, "a delta keeps its limit")
    }
  }
}
