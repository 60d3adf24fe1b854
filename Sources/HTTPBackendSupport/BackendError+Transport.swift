package import DesiredState
package import HTTPTransport

extension BackendError {
  /// The meaning of a failed exchange for the backend's caller.
  ///
  /// The transport's codes are finer than the contract's: its own word stays at the head of the message. `too-large` has
  /// no counterpart, because only the caller knows whether the excess breaks a limit of the state's.
  package init(_ error: HTTPTransportError) {
    let code: Code =
      switch error.code {
      case .connectTimeout, .timeout, .stalled: .timeout
      case .tlsUntrusted, .tlsExpired, .tlsWrongHost, .tlsWrongIdentity, .tlsUnfitCertificate, .tlsVersion, .tlsFailed,
        .clockImplausible:
        .tlsUntrusted
      case .clientCertificateRequired, .clientCertificateRefused: .unauthorized
      case .proxyRefused: Self.code(ofStatus: error.proxyStatus ?? 0) ?? .unreachable
      case .truncated, .tooLarge, .headerTooLarge, .redirectRefused, .protocolViolation: .protocolViolation
      default: .unreachable
      }
    let isNamed = code.rawValue == error.code.rawValue
    self.init(
      code, isNamed ? error.message : "\(error.code): \(error.message)", isRetryable: error.isRetryable,
      underlying: error)
  }

  /// The contract's code for an HTTP status (RFC 9110 section 15, RFC 6585) that is no success; nil for one that has no
  /// word of its own.
  package static func code(ofStatus status: Int) -> Code? {
    switch status {
    case 401, 407, 495, 496: .unauthorized
    case 403: .forbidden
    case 408: .timeout
    case 429: .rateLimited
    // RFC 6585 section 6: not from the origin, but from a network that asks to log in.
    case 511: .protocolViolation
    case 500...599: .serverError
    default: nil
    }
  }
}

/// The error that a failed exchange is to a backend's caller: a ``BackendError``, or the cancellation it was.
package func sourceError(_ error: HTTPTransportError) -> any Error {
  error.code == .cancelled ? CancellationError() : BackendError(error)
}
