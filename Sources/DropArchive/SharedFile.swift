package import DesiredStateSupport
import Glibc

/// An open file that several readers share, each with a position of its own.
package final class SharedFile: Sendable {
  package let open: OpenFile

  package init(_ file: consuming OpenFile) { open = file }

  /// The bytes at a position; fewer than asked for only at the end of the file.
  package func read(upTo count: Int, at offset: Int) throws(FileError) -> [UInt8] {
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = 0
      // A network file system may give less than is there; only nothing at all is the end.
      while filled < count {
        let received = pread(open.descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
        if received > 0 {
          filled += received
        } else if received == 0 {
          return
        } else if errno != EINTR {
          code = errno
          return
        }
      }
    }
    guard code == 0 else { throw FileError("read", open.path, code: code) }
    return bytes
  }
}
