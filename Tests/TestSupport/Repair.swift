import Foundation
import Glibc

/// Writes other bytes into a file whose size and modification time stay as they were: a web server shows the same entity
/// tag for it.
package func repair(_ path: String, with bytes: [UInt8]) throws {
  var status = stat()
  guard stat(path, &status) == 0, status.st_size == bytes.count else {
    throw ChildProcess.Failure(description: "\(path) is not \(bytes.count) bytes long")
  }
  try write(bytes, to: path)
  var times = [timespec](repeating: status.st_mtim, count: 2)
  guard utimensat(AT_FDCWD, path, &times, 0) == 0 else { throw ChildProcess.Failure(description: "utimensat \(path)") }
}
