import Foundation
import Glibc
import Synchronization

/// Counts how often each file of a directory is opened, with inotify(7).
package final class OpenCount: Sendable {
  private let descriptor: Int32
  private let counts = Mutex<[String: Int]>([:])

  package init(_ directory: String) {
    descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    inotify_add_watch(descriptor, directory, UInt32(IN_OPEN))
  }

  deinit { close(descriptor) }

  /// How often each file was opened so far, by name.
  package func all() -> [String: Int] {
    counts.withLock { counts in
      let header = MemoryLayout<inotify_event>.size
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let length = read(descriptor, &buffer, buffer.count)
        guard length > 0 else { return counts }
        var offset = 0
        while offset + header <= length {
          let size = buffer.withUnsafeBytes {
            Int($0.loadUnaligned(fromByteOffset: offset, as: inotify_event.self).len)
          }
          let name = buffer[(offset + header)..<(offset + header + size)].prefix { $0 != 0 }
          if !name.isEmpty { counts[String(decoding: name, as: UTF8.self), default: 0] += 1 }
          offset += header + size
        }
      }
    }
  }
}

/// How many bytes this process has read, its other tests' included: proc_pid_io(5). Nil if it is not told.
package func bytesRead() -> UInt64? {
  let lines = (try? String(contentsOfFile: "/proc/self/io", encoding: .utf8))?.split(separator: "\n") ?? []
  return lines.first { $0.hasPrefix("rchar: ") }.flatMap { UInt64($0.dropFirst(7)) }
}
