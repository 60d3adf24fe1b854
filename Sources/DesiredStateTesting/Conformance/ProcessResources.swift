import CLinux
import FoundationEssentials
import Glibc

/// What this process holds: open files, threads and resident memory by proc(5), and what malloc(3) has given out.
///
/// Both kinds of memory are looked at: a leak may fit into memory that was used before, and does not show in the
/// resident size then; mapped memory does not show in malloc's own count.
struct ProcessResources: CustomStringConvertible {
  var descriptors = 0
  var threads = 0
  var resident = 0
  var allocated = 0

  static func now() -> ProcessResources {
    var resources = ProcessResources()
    resources.descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
    resources.threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
    // proc_pid_statm(5): size, resident, ... in pages.
    let statm = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    resources.resident = (statm.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
    // mallinfo(3): uordblks counts bytes in use, hblkhd those that large allocations map.
    let heap = mallinfo2()
    resources.allocated = Int(heap.uordblks + heap.hblkhd)
    return resources
  }

  static func - (left: ProcessResources, right: ProcessResources) -> ProcessResources {
    ProcessResources(
      descriptors: left.descriptors - right.descriptors, threads: left.threads - right.threads,
      resident: left.resident - right.resident, allocated: left.allocated - right.allocated)
  }

  /// Fewer than one for every few fetches, and less memory than a document takes for every few: not a leak.
  var isLevel: Bool {
    // Where malloc keeps no count it was replaced, by a sanitizer that needs memory of its own for every access.
    let noise = allocated == 0 ? 12 << 20 : 2 << 20
    return descriptors < 12 && threads < 12 && resident < noise && allocated < 2 << 20
  }

  var description: String {
    "\(descriptors) descriptors, \(threads) threads, \(resident >> 10) KiB resident, \(allocated >> 10) KiB allocated"
  }
}
