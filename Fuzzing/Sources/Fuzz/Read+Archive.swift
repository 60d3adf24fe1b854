import Glibc

@testable import DesiredState
@testable import DesiredStateSupport
@testable import DropArchive
@testable import FileBackend

extension Read {
  private static let limits = Limits(
    manifestSize: 1 << 16, evidenceSize: 1 << 16, documentCount: 64, documentSize: 1 << 20, totalSize: 1 << 22)

  /// A file in memory, as a bundle is one on a disk.
  private static func file(_ bytes: [UInt8]) -> SharedFile? {
    var name = Array("/dev/shm/desired-state-fuzz.XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    guard descriptor >= 0 else { return nil }
    unlink(name)
    let file = OpenFile(adopting: descriptor, path: "bundle")
    guard (try? file.write(bytes)) != nil else { return nil }
    return SharedFile(file)
  }

  static func tar(_ bytes: [UInt8]) {
    guard let file = file(bytes), let scan = try? BundleScan(file, limits: limits) else { return }
    while let progress = try? scan.proceed(current: nil) {
      guard case .unfinished = progress else {
        if case .finished(let bundle) = progress {
          check(bundle.manifest.count <= limits.manifestSize, "a manifest keeps its limit")
        }
        return
      }
    }
  }
}
