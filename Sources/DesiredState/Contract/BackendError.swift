import DesiredStateSupport

/// A source could not be reached, or did not do what was asked of it.
///
/// It says what happened, whether trying again can help, and when. It never holds a secret: no token, no password of a
/// URL, no content of a key file.
public struct BackendError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure. Open: a backend may add its own.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The source does not answer, or is not there.
    public static let unreachable = Code(rawValue: "unreachable")
    /// The source did not answer in time.
    public static let timeout = Code(rawValue: "timeout")
    /// The source wants credentials, or better ones.
    public static let unauthorized = Code(rawValue: "unauthorized")
    /// The source knows who asks and refuses.
    public static let forbidden = Code(rawValue: "forbidden")
    /// The source asks for patience.
    public static let rateLimited = Code(rawValue: "rate-limited")
    /// The source failed on its side.
    public static let serverError = Code(rawValue: "server-error")
    /// The source could not prove who it is.
    public static let tlsUntrusted = Code(rawValue: "tls-untrusted")
    /// The source's answer does not follow its protocol.
    public static let protocolViolation = Code(rawValue: "protocol-violation")
    /// The source, or this backend's own worker, is still busy with something else.
    public static let busy = Code(rawValue: "busy")
    /// The backend cannot do this at all; see ``DesiredStateBackend/capabilities``.
    public static let unsupported = Code(rawValue: "unsupported")
  }

  /// What kind of failure.
  public var code: Code
  /// What happened and what to do about it, in words. Text from outside in it is made safe to show.
  public let message: String
  /// Whether the same call may succeed later although nothing is changed on this device.
  public var isRetryable: Bool
  /// Whether the source itself says that trying again is of no use: then it is not tried again, also where a person could
  /// mend the trouble otherwise.
  public var isFinal = false
  /// How long the source asked to wait.
  public var retryAfter: Duration?
  /// Whether ``retryAfter`` is the first of several waits, and doubles with each failure in a row: what Margo's problem
  /// details call the `exponential` strategy. How often it failed is kept across restarts.
  public var doublesRetryAfter = false
  /// The kind of problem in the source's own words, if it names one: the `type` of problem details (RFC 9457), a URI. It is
  /// compared as a whole, and never fetched.
  public var problemType: String?
  /// What caused it, if another error did.
  public var underlying: (any Error)?

  /// An error with this code. By default it may be retried unless a person has to change something first: the
  /// credentials, the permissions, the trusted certificates.
  public init(
    _ code: Code, _ message: String, isRetryable: Bool? = nil, retryAfter: Duration? = nil,
    problemType: String? = nil, underlying: (any Error)? = nil
  ) {
    self.code = code
    self.message = printable(message)
    self.isRetryable = isRetryable ?? ![.unauthorized, .forbidden, .tlsUntrusted, .unsupported].contains(code)
    self.retryAfter = retryAfter
    self.problemType = problemType.map { printable($0, limit: 300) }
    self.underlying = underlying
  }

  /// How long the other side is to be left alone by its own word; nil if it said nothing.
  ///
  /// - Parameters:
  ///   - failures: how often it failed in a row, this time too.
  ///   - longest: up to where waits grow that are to double; the first one counts if it is longer.
  public func wait(afterFailures failures: Int, growingTo longest: Duration) -> Duration? {
    guard let retryAfter, doublesRetryAfter, retryAfter > .zero else { return retryAfter }
    return Backoff(first: retryAfter, longest: max(retryAfter, longest)).fullWait(afterFailures: failures)
  }

  public var description: String { "\(code): \(message)" }

  /// An error of a backend as the contract has it: one of another kind becomes a
  /// ``Code/protocolViolation``. Of a foreign error only the type is shown, because its text may hold anything.
  static func contractual(_ error: any Error, of source: String) -> any Error {
    if error is BackendError || error is VerificationError || error is CancellationError { return error }
    return BackendError(
      .protocolViolation, "\(source) failed with an error of its own kind, \(type(of: error))", underlying: error)
  }
}
