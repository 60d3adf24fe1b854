import Glibc

/// A line to the server with a round trip of its own, which counts the bytes that pass: `Benchmarks/relay`.
///
/// `@unchecked Sendable` is sound because the benchmarks run one after the other, in one task.
public final class Relay: @unchecked Sendable {
  private let input: Int32
  private let output: UnsafeMutablePointer<FILE>
  private var process = pid_t()

  /// - Parameters:
  ///   - program: the path of `Benchmarks/relay`.
  ///   - roundTrip: in seconds.
  ///   - cut: after how many bytes from the site the connection breaks, again and again; nil for never.
  public init(_ program: String, to site: Site, roundTrip: Double, cut: Int? = nil) {
    var toChild: [Int32] = [0, 0]
    var fromChild: [Int32] = [0, 0]
    pipe(&toChild)
    pipe(&fromChild)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    for descriptor in toChild + fromChild { posix_spawn_file_actions_addclose(&actions, descriptor) }
    defer { posix_spawn_file_actions_destroy(&actions) }
    let words: [String] = [program, "\(site.relayPort)", "\(site.port)", "\(roundTrip)", "\(cut ?? 0)"]
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    guard posix_spawn(&process, program, &actions, nil, &arguments, environ) == 0 else {
      fatalError("cannot start relay")
    }
    close(toChild[0])
    close(fromChild[1])
    input = toChild[1]
    output = fdopen(fromChild[0], "r")
    _ = line()
  }

  /// The bytes that passed since this was asked last, both ways.
  public func takeBytes() -> Int {
    write(input, "\n", 1)
    return Int(line()) ?? 0
  }

  public func end() {
    close(input)
    fclose(output)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }

  private func line() -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    guard fgets(&buffer, 64, output) != nil else { fatalError("the relay ended") }
    return String(decoding: buffer.prefix { $0 != 10 && $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
