import Glibc

/// What one run cost.
public struct Cost {
  /// Seconds on the wall.
  public var wall: Double
  /// Seconds of processor time, user and system.
  public var cpu: Double
  /// Peak resident memory in bytes; 0 where it was not measured.
  public var peak: Int = 0
}

extension [Double] {
  public var median: Double {
    let sorted = sorted()
    return sorted.isEmpty ? .nan : (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }
}

public enum Measure {
  public static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Processor time of this process, all threads.
  public static func cpu() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Runs a program to its end and returns what the kernel counted for it.
  public static func run(_ arguments: [String], expecting status: Int32 = 0) -> Cost {
    var process = pid_t()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    let start = now()
    guard posix_spawnp(&process, arguments[0], &actions, nil, &pointers, environ) == 0 else {
      fatalError("cannot start \(arguments[0])")
    }
    var result: Int32 = 0
    var usage = rusage()
    wait4(process, &result, 0, &usage)
    let wall = now() - start
    precondition(result >> 8 & 0xff == status && result & 0x7f == 0, "\(arguments) ended with \(result)")
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return Cost(wall: wall, cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime), peak: usage.ru_maxrss << 10)
  }

  /// Runs a program to its end and returns the line it prints.
  public static func output(_ arguments: [String]) -> String {
    let command = arguments.map { "'\($0)'" }.joined(separator: " ")
    guard let pipe = popen(command, "r") else { fatalError("cannot start \(arguments[0])") }
    var buffer = [CChar](repeating: 0, count: 4096)
    let line = fgets(&buffer, 4096, pipe).map { String(cString: $0) } ?? ""
    let status = pclose(pipe)
    precondition(status == 0, "\(command) ended with \(status)")
    return line.split(separator: "\n").first.map(String.init) ?? ""
  }

  public static func shell(_ script: String) -> Cost { run(["sh", "-ec", script]) }
}

/// Prints a line at once, also into a pipe.
public func say(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}

/// One line of the report: ours, the peer's, the ratio, and the bound it is held to.
public func report(_ name: String, _ ours: Double, _ peer: Double, unit: String, peerName: String, bound: String) {
  func text(_ value: Double) -> String { decimal(value, value < 10 ? 3 : 1) }
  say("\(name): \(text(ours)) \(unit), \(peerName) \(text(peer)) \(unit), ratio \(decimal(ours / peer, 2)) (\(bound))")
}

public func decimal(_ value: Double, _ places: Int) -> String {
  var buffer = [CChar](repeating: 0, count: 64)
  _ = withVaList([value]) { vsnprintf(&buffer, 64, "%.\(places)f", $0) }
  return buffer.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
