import DesiredState
import DesiredStateSupport

extension RemoteRepository {
  /// What an error of the protocol means to the caller of a backend: the one place where its words become the contract's.
  func translated(_ error: any Error) -> any Error {
    guard let error = error as? GitProtocolError else { return error }
    let remarks = error.remarks.suffix(3).map { quoted($0, limit: 160) }.joined(separator: ", ")
    let said = remarks.isEmpty ? "" : "; before that it said \(remarks)"
    switch error.code {
    case .violation: return BackendError(.protocolViolation, "\(source): \(error.message)\(said)")
    case .unsupported: return BackendError(.unsupported, "\(source): \(error.message)")
    case .refused:
      let words = error.message.split(whereSeparator: \.isNewline).joined(separator: "; ")
      // git, and JGit, of an object that is not there or not served.
      let isMissing = error.message.contains("not our ref") || error.message.contains("not valid")
      return BackendError(
        .serverError, "\(source) says: \(quoted(words, limit: 200))\(said)",
        underlying: isMissing ? MissingObject() : nil)
    case .tooLarge: return VerificationError(.limitExceeded, error.message)
    }
  }
}

/// A repository does not have, or does not serve, an object that was asked for by its name.
struct MissingObject: Error {}
