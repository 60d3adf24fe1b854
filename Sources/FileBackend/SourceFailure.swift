import DesiredState
import DesiredStateSupport
import Glibc

/// The meaning of a failed file operation at the source for the caller.
enum SourceFailure {
  /// The source as a whole cannot be read.
  static func unreachable(_ error: FileError, source: String) -> BackendError {
    switch error.code {
    case ENOENT:
      BackendError(
        .unreachable, "nothing is at \(source); check the path, and that the disk or share it is on is mounted",
        underlying: error)
    case EACCES, EPERM:
      BackendError(
        .forbidden, "\(error.path) may not be read by this user; check its owner and permissions, and those above it",
        underlying: error)
    case EMFILE, ENFILE, ENOMEM:
      BackendError(.busy, "this device is short of resources: \(error)", underlying: error)
    default:
      BackendError(.unreachable, "\(error); check the disk or share that it is on", underlying: error)
    }
  }

  /// The file system does not answer.
  static func timeout(_ source: String, after timeout: Duration) -> BackendError {
    BackendError(.timeout, "the file system of \(source) does not answer within \(timeout); check its mount")
  }

  /// Why something that is there is not the regular file it should be, or nil if the error is about something else.
  static func fault(_ error: FileError) -> String? {
    switch error.code {
    case EXDEV: "it is reached through a symbolic link that leads out of the drop"
    case ELOOP: "it is a symbolic link that is not followed, or one that leads in a circle"
    case EINVAL, ENXIO, ENODEV: "it is not a regular file"
    default: nil
    }
  }

  /// A document cannot be opened.
  static func document(_ document: DocumentReference, _ error: FileError, source: String) -> any Error {
    let reason: String
    switch error.code {
    case ENOENT, ENOTDIR, ENAMETOOLONG:
      reason = "is not at \(error.path); if it is being copied it will be seen at the next poll"
    default:
      guard let fault = fault(error) else { return unreachable(error, source: source) }
      reason = "cannot be read from \(error.path): \(fault)"
    }
    return VerificationError(
      .documentMissing, "document '\(document.id)' \(reason)", evidence: ["document \(document.id)"])
  }
}
