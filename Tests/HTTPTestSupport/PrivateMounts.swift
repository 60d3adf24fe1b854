import Glibc
import TestSupport

/// Mounts that only the calling thread, and threads and programs it starts, can see. Only root may make them.
package enum PrivateMounts {
  package static var isPossible: Bool { getuid() == 0 }

  package static func mount(_ directory: String, over target: String) throws {
    // unshare(2) and mount(2) are not in Swift's Glibc module. CLONE_NEWNS; MS_REC | MS_PRIVATE; MS_BIND.
    typealias Unshare = @convention(c) (Int32) -> Int32
    typealias Mount =
      @convention(c) (
        UnsafePointer<CChar>?, UnsafePointer<CChar>, UnsafePointer<CChar>?, UInt, UnsafeRawPointer?
      ) -> Int32
    guard let unshare = dlsym(nil, "unshare"), let mount = dlsym(nil, "mount"),
      unsafeBitCast(unshare, to: Unshare.self)(0x0002_0000) == 0,
      unsafeBitCast(mount, to: Mount.self)(nil, "/", nil, 0x4000 | 0x4_0000, nil) == 0,
      unsafeBitCast(mount, to: Mount.self)(directory, target, nil, 0x1000, nil) == 0
    else { throw ChildProcess.Failure(description: "no private mounts: error \(errno)") }
  }
}
