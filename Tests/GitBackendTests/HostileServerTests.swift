import DesiredState
import DesiredStateTesting
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// Servers that say nothing, stop, go on for ever, or send nonsense.
@Suite(.timeLimit(.minutes(2))) struct HostileServerTests {
  /// Over SSH, whatever program the server runs instead of git's.
  private func device(running command: String, _ repository: OperatorRepository) async throws -> (
    Device, GitOverSSH
  ) {
    let road = try await GitOverSSH(repository, command: command)
    return (try Device(repository, over: road), road)
  }

  @Test func `a server that says nothing is given up in time`() async throws {
    let repository = try await OperatorRepository()
    let (device, road) = try await device(running: "sleep 100", repository)
    let began = ContinuousClock.now
    let error = try await thrown(BackendError.self) { try await device.look(timeout: .milliseconds(800)) }
    #expect(error.code == .timeout)
    #expect(ContinuousClock.now - began < .seconds(5))
    await road.tearDown()
  }

  @Test func `a server that is no git is a protocol violation`() async throws {
    let repository = try await OperatorRepository()
    let (device, road) = try await device(running: "echo Welcome to the plant", repository)
    #expect(try await thrown(BackendError.self) { try await device.look() }.code == .protocolViolation)
    await road.tearDown()
  }

  @Test(arguments: ["-001", "+010", "0x10", "0003", "    "])
  func `a packet whose length is no length is a protocol violation`(length: String) async throws {
    let repository = try await OperatorRepository()
    let (device, road) = try await device(running: "printf '%s' '\(length)version 2 and more'", repository)
    #expect(try await thrown(BackendError.self) { try await device.look() }.code == .protocolViolation)
    await road.tearDown()
  }

  @Test func `a list of references without end is given up`() async throws {
    let repository = try await OperatorRepository()
    // Names that go on after the requested ones, 100 bytes each.
    let program = repository.folder["server"]
    try write(
      """
      import os
      line = b"0064" + b"7" * 40 + b" refs/heads/main" + b"x" * 39 + b"\\n"
      os.write(1, b"000eversion 2\\n000aagent\\n0000")
      while True: os.write(1, line * 1000)
      """, to: program)
    let (device, road) = try await device(running: "python3 \(program)", repository)
    let error = try await thrown(BackendError.self) { try await device.look(timeout: .seconds(30)) }
    #expect(error.code == .protocolViolation, "\(error)")
    await road.tearDown()
  }

  @Test func `a server that stops in the middle of a pack is an error, and the next poll works`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": (0..<300_000).map { _ in UInt8.random(in: 0...255) }])
    let flag = repository.folder["cut"]
    let (device, road) = try await device(
      running:
        "if [ -e \(flag) ]; then git-upload-pack \(repository.path) | head -c 100000; else git-upload-pack \(repository.path); fi",
      repository)
    try write("", to: flag)
    // The line stays open: only the time limit can tell.
    let error = try await thrown(BackendError.self) { try await device.look(timeout: .seconds(3)) }
    #expect([.protocolViolation, .unreachable, .timeout].contains(error.code), "\(error)")
    try FileManager.default.removeItem(atPath: flag)
    #expect(try await device.look()?.count == 1)
    await road.tearDown()
  }

  @Test func `a document that is too large for the limits is refused while it comes`() async throws {
    let repository = try await OperatorRepository()
    let zeros = repository.tree + "/zeros"
    _ = FileManager.default.createFile(atPath: zeros, contents: nil)
    try #require(truncate(zeros, 100_000_000) == 0)
    try await repository.commitTree()
    let road = try await GitOverHTTP(repository)
    let device = try Device(repository, over: road)
    let error = try await device.refusal(limits: Limits(manifestSize: 1000, documentSize: 1_000_000))
    #expect(error.code == .limitExceeded)
    #expect(try await road.bytes() ?? 0 < 200_000)
    #expect(try await device.look()?.count == 1)
    await road.tearDown()
  }

  // MARK: - Packs

  private func bounds() -> PackLimiter.Bounds {
    PackLimiter.Bounds(Limits(manifestSize: 1000, documentCount: 100, documentSize: 1 << 20, totalSize: 4 << 20))
  }

  private func header(_ count: UInt32) -> [UInt8] {
    Array("PACK".utf8) + [0, 0, 0, 2] + withUnsafeBytes(of: count.bigEndian, Array.init)
  }

  private func entry(type: UInt8, size: UInt64) -> [UInt8] {
    var bytes = [type << 4 | UInt8(size & 15)]
    var rest = size >> 4
    while rest > 0 {
      bytes[bytes.count - 1] |= 0x80
      bytes.append(UInt8(rest & 0x7f))
      rest >>= 7
    }
    return bytes
  }

  private func refusal(of pack: [UInt8]) throws -> String {
    let gate = PackLimiter(bounds())
    do {
      // A byte at a time: nothing may depend on where a packet ends.
      for byte in pack { try gate.pass([byte]) }
      try gate.finish()
      return "none"
    } catch let error as GitProtocolError {
      return error.code == .tooLarge ? "limit-exceeded" : error.code == .violation ? "protocol-violation" : "another"
    }
  }

  @Test func `a pack that says what it holds is too much is refused at its first bytes`() throws {
    #expect(try refusal(of: header(2_000_000)) == "limit-exceeded")
    #expect(try refusal(of: header(1) + entry(type: 3, size: 10 << 30)) == "limit-exceeded")
    #expect(try refusal(of: Array("PICK".utf8) + [UInt8](repeating: 0, count: 8)) == "protocol-violation")
    #expect(try refusal(of: header(1) + entry(type: 5, size: 1)) == "protocol-violation")
    #expect(try refusal(of: header(1) + entry(type: 3, size: 1)) == "protocol-violation")
  }

  @Test func `a pack that lies about how much it expands to is refused`() async throws {
    // A megabyte of zeros in a kilobyte, said to be 10 bytes.
    let zeros = try await deflated([UInt8](repeating: 0, count: 1_000_000))
    #expect(try refusal(of: header(1) + entry(type: 3, size: 10) + zeros) == "protocol-violation")
    // Noticed while it comes, long before its end.
    #expect(throws: GitProtocolError.self) {
      try PackLimiter(bounds()).pass(header(1) + entry(type: 3, size: 10) + zeros.prefix(zeros.count / 2))
    }
    // Honest, and five of them too many in all.
    let honest = entry(type: 3, size: 1_000_000) + zeros
    #expect(try refusal(of: header(5) + honest + honest + honest + honest + honest) == "limit-exceeded")
    // A delta of a few bytes that makes 10 GB of its base.
    let huge: [UInt8] = [10, 0x80, 0x80, 0x80, 0x80, 0x28, 0x90, 10]
    let delta = entry(type: 7, size: UInt64(huge.count)) + [UInt8](repeating: 7, count: 20)
    #expect(try refusal(of: header(1) + delta + (try await deflated(huge))) == "limit-exceeded")
    // The same size, written with more bytes than it needs: libgit2 reads such numbers too.
    let zeros7 = [UInt8](repeating: 0x80, count: 7)
    for padded in [
      [10, 0x80, 0x80, 0x80, 0x80, 0xa8] + zeros7 + [0, 0x90, 10], [0x8a] + zeros7 + zeros7 + [0, 10, 0x90, 10],
    ] as [[UInt8]] {
      let delta = entry(type: 7, size: UInt64(padded.count)) + [UInt8](repeating: 7, count: 20)
      #expect(try refusal(of: header(1) + delta + (try await deflated(padded))) == "protocol-violation")
    }
    // One that ends before it has said its size.
    let cut = entry(type: 7, size: 1) + [UInt8](repeating: 7, count: 20)
    #expect(try refusal(of: header(1) + cut + (try await deflated([10]))) == "protocol-violation")
  }

  @Test func `a pack that git made passes, in whatever pieces`() async throws {
    let repository = try await OperatorRepository()
    for number in 0..<3 { try await repository.commit(["press": String(repeating: "\(number) recipe\n", count: 500)]) }
    try await repository.git("repack", "-q", "-a", "-d", "-f")
    let pack = try contents(
      of:
        "\(repository.path)/objects/pack/\(names(in: repository.path + "/objects/pack").first { $0.hasSuffix(".pack") }!)"
    )
    #expect(try refusal(of: pack) == "none")
    #expect(try refusal(of: pack + [0]) == "protocol-violation")
    #expect(try refusal(of: Array(pack.dropLast())) == "protocol-violation")
    let gate = PackLimiter(bounds())
    try gate.pass(pack)
    try gate.finish()
    #expect(gate.objectCount == 9)
  }

  /// As zlib has it, by another program.
  private func deflated(_ bytes: [UInt8]) async throws -> [UInt8] {
    let text = try await run(
      ["python3", "-c", "import sys,zlib; print(zlib.compress(sys.stdin.buffer.read()).hex())"], input: bytes)
    return stride(from: 0, to: text.utf8.count, by: 2).map {
      UInt8(String(decoding: Array(text.utf8)[$0...$0 + 1], as: UTF8.self), radix: 16)!
    }
  }
}
