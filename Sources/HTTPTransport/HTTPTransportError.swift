/// Why an HTTP exchange did not end well.
///
/// The ``code`` is for programs, the ``message`` is for the person who has to do something about
/// it. Neither holds a credential, a query string or the contents of a file.
public struct HTTPTransportError: Error, Sendable {
  /// What went wrong, as a stable word. Open: later versions may add codes.
  public struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// Nothing answered at the address: connection refused, no route, network down.
    public static let unreachable = Code(rawValue: "unreachable")
    /// The host's name could not be turned into an address.
    public static let nameResolution = Code(rawValue: "name-resolution")
    /// The connection was not made within the connect timeout.
    public static let connectTimeout = Code(rawValue: "connect-timeout")
    /// The whole exchange did not end before its deadline.
    public static let timeout = Code(rawValue: "timeout")
    /// Bytes came, but slower than the stall limit for longer than it allows.
    public static let stalled = Code(rawValue: "stalled")
    /// The connection broke before the answer was complete.
    public static let connectionLost = Code(rawValue: "connection-lost")
    /// The server ended the body before the length it had announced.
    public static let truncated = Code(rawValue: "truncated")
    /// The certificate does not lead to a trusted root.
    public static let tlsUntrusted = Code(rawValue: "tls-untrusted")
    /// The certificate is past its validity.
    public static let tlsExpired = Code(rawValue: "tls-expired")
    /// The certificate is for another host.
    public static let tlsWrongHost = Code(rawValue: "tls-wrong-host")
    /// The certificate lacks the identity that was expected of the server.
    public static let tlsWrongIdentity = Code(rawValue: "tls-wrong-identity")
    /// The certificate has the right identity, and is not fit to prove it: it is an authority's, or of a weak key.
    public static let tlsUnfitCertificate = Code(rawValue: "tls-unfit-certificate")
    /// The server offers only TLS versions below the configured minimum.
    public static let tlsVersion = Code(rawValue: "tls-version")
    /// Any other failure of the TLS handshake.
    public static let tlsFailed = Code(rawValue: "tls-failed")
    /// The server asked for a client certificate and none is configured.
    public static let clientCertificateRequired = Code(rawValue: "client-certificate-required")
    /// The server refused the client certificate it was shown.
    public static let clientCertificateRefused = Code(rawValue: "client-certificate-refused")
    /// The certificate is not valid yet, which nearly always means that this machine's clock is behind.
    public static let clockImplausible = Code(rawValue: "clock-implausible")
    /// The proxy answered, and refused.
    public static let proxyRefused = Code(rawValue: "proxy-refused")
    /// A body was larger than the limits of the exchange.
    public static let tooLarge = Code(rawValue: "too-large")
    /// A header was larger than the limits of the exchange.
    public static let headerTooLarge = Code(rawValue: "header-too-large")
    /// A redirect that is not followed for safety, or one too many.
    public static let redirectRefused = Code(rawValue: "redirect-refused")
    /// What came is not HTTP, or breaks its rules.
    public static let protocolViolation = Code(rawValue: "protocol-violation")
    /// The exchange was cancelled, or its task was.
    public static let cancelled = Code(rawValue: "cancelled")
    /// The transport was shut down.
    public static let shutDown = Code(rawValue: "shut-down")
    /// The request cannot be sent as it is.
    public static let invalidRequest = Code(rawValue: "invalid-request")
    /// The transport's configuration cannot work.
    public static let configuration = Code(rawValue: "configuration")
    /// libcurl failed in a way that has no better name here.
    public static let internalFailure = Code(rawValue: "internal-failure")
  }

  /// What went wrong.
  public let code: Code
  /// What happened and what to do about it, in one or two sentences.
  public let message: String
  /// Whether the same request may succeed later without any change.
  public let isRetryable: Bool
  /// What caused it: a ``LibCurlError`` when libcurl reported the failure.
  public let underlying: (any Error)?
  /// The status that a proxy refused with.
  public let proxyStatus: Int?

  /// An error of these parts.
  public init(
    code: Code, message: String, isRetryable: Bool = false, underlying: (any Error)? = nil, proxyStatus: Int? = nil
  ) {
    self.code = code
    self.message = message
    self.isRetryable = isRetryable
    self.underlying = underlying
    self.proxyStatus = proxyStatus
  }
}

extension HTTPTransportError: CustomStringConvertible {
  /// `code: message (curl 7: its words)`.
  public var description: String { "\(code): \(message)" + (underlying.map { " (\($0))" } ?? "") }
}

/// What libcurl reported.
public struct LibCurlError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A `CURLcode`: libcurl-errors(3).
  public let code: Int32
  /// libcurl's own words, with every secret struck out.
  public let message: String?

  public var description: String { "curl \(code)" + (message.map { ": \($0)" } ?? "") }
}

extension HTTPTransportError {
  static func invalidRequest(_ message: String) -> HTTPTransportError {
    HTTPTransportError(code: .invalidRequest, message: message)
  }

  static func configuration(_ message: String) -> HTTPTransportError {
    HTTPTransportError(code: .configuration, message: message)
  }

  static let cancelled = HTTPTransportError(
    code: .cancelled, message: "The exchange was cancelled before it ended.", isRetryable: true)

  /// Never leaves the transport: the exchange is begun again on another connection.
  static let moved = HTTPTransportError(
    code: Code(rawValue: "moved"), message: "The connection was no longer to be used. Try again.", isRetryable: true)

  static func expanding(_ plan: RequestPlan) -> HTTPTransportError {
    HTTPTransportError(
      code: .protocolViolation,
      message: "The body of \(plan.address) expands to more than 100 times what the server sent. See to the server.")
  }

  static let shutDown = HTTPTransportError(
    code: .shutDown, message: "The transport was shut down. Make a new one to send requests.")

  static func stalled(_ address: String) -> HTTPTransportError {
    HTTPTransportError(
      code: .stalled,
      message: "\(address) sends or takes less than the stall limit allows. The server or the network is overloaded.",
      isRetryable: true)
  }

  static func deadlinePassed(_ address: String) -> HTTPTransportError {
    HTTPTransportError(
      code: .timeout,
      message: "The exchange with \(address) did not end before its deadline. "
        + "Allow more time, or see whether the server or the network is overloaded.",
      isRetryable: true)
  }
}
