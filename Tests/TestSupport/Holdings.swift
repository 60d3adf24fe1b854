import Foundation
import Glibc

/// What a process holds, as the kernel sees it.
package struct Holdings: CustomStringConvertible {
  package var descriptors: Int
  package var threads: Int
  /// In KiB.
  package var memory: Int
  package var peakMemory: Int

  /// Not under the address sanitizer, which keeps freed memory.
  package static var countsMemory: Bool { dlsym(nil, "__asan_init") == nil }

  package init() {
    // One of them is the directory being read.
    descriptors = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 1) - 1
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    func value(_ name: String) -> Int {
      let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
      return line.flatMap { $0.split(whereSeparator: \.isWhitespace).dropFirst().first }.flatMap { Int($0) } ?? 0
    }
    threads = value("Threads")
    memory = value("VmRSS")
    peakMemory = value("VmHWM")
  }

  package var description: String {
    "\(descriptors) descriptors, \(threads) threads, \(memory) KiB, peak \(peakMemory) KiB"
  }
}

/// Shown with the tests' output, for readers who want more than a kept bound.
package func measured(_ text: String) {
  FileHandle.standardError.write(Data("measured: \(text)\n".utf8))
}
