import Glibc
import SystemPackage

/// A file operation failed on this device's own disk.
public struct FileError: Error, Sendable, CustomStringConvertible {
  /// The operation, in words: "write", "rename".
  public let operation: String
  /// The path it was done to.
  public let path: String
  /// The error number of errno(3), which says what kind of trouble.
  public let code: Int32
  /// The error number as an error.
  public var underlying: (any Error)? { Errno(rawValue: code) }

  package init(_ operation: String, _ path: String, code: Int32 = errno) {
    self.operation = operation
    self.path = path
    self.code = code
  }

  /// The failure of a call of swift-system's, which throws an `Errno` and nothing else.
  init(_ operation: String, _ path: String, _ error: any Error) {
    self.init(operation, path, code: (error as? Errno ?? .ioError).rawValue)
  }

  /// What happened and what to do about it, in words. Text from outside in it is made safe to show.
  public var message: String {
    var text = "cannot \(operation) \(path): \(String(cString: strerror(code)))"
    switch code {
    case ENOSPC, EDQUOT: text += "; free some space there, nothing that was adopted is lost"
    case EROFS: text += "; the file system is mounted read-only"
    case EACCES, EPERM: text += "; check its owner and permissions"
    default: break
    }
    return printable(text)
  }

  public var description: String { message }
}
