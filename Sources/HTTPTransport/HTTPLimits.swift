/// How much of a response is taken, enforced while it is being read.
public struct HTTPLimits: Sendable, Hashable {
  /// Status lines, header fields and trailers together, in bytes.
  public var headerBytes: Int
  /// The body as it comes over the wire, before any content decoding, in bytes.
  public var encodedBytes: Int64
  /// The body after content decoding, in bytes.
  public var decodedBytes: Int64

  /// 64 KiB of header; 64 MiB of body, both encoded and decoded.
  public init(headerBytes: Int = 64 << 10, encodedBytes: Int64 = 64 << 20, decodedBytes: Int64 = 64 << 20) {
    self.headerBytes = headerBytes
    self.encodedBytes = encodedBytes
    self.decodedBytes = decodedBytes
  }

  /// The same limit for the body before and after decoding.
  public static func body(_ bytes: Int64) -> HTTPLimits { HTTPLimits(encodedBytes: bytes, decodedBytes: bytes) }
}

/// When a transfer counts as stalled: fewer bytes a second than this, for this long.
///
/// Begins when the connection is made, and covers waiting for the answer. Time during which the reader of the body holds
/// it back does not count.
public struct HTTPStallLimit: Sendable, Hashable {
  /// The least rate, in bytes a second.
  public var bytesPerSecond: Int
  /// How long a transfer may be slower.
  public var duration: Duration

  /// By default fewer than 32 bytes a second for 15 seconds.
  public init(bytesPerSecond: Int = 32, for duration: Duration = .seconds(15)) {
    self.bytesPerSecond = bytesPerSecond
    self.duration = duration
  }
}

/// Which redirects are followed.
///
/// Whatever is chosen: never from https to http, never to another origin while credentials, an
/// `Authorization` or `Cookie` field or a client certificate would go along, and only for GET and HEAD.
public enum HTTPRedirectPolicy: Sendable, Hashable {
  /// A redirect is a response like any other.
  case none
  /// At most so many in a row; one more is `redirect-refused`.
  case follow(maximum: Int)
}

/// Which HTTP versions may be spoken.
public enum HTTPVersionPreference: Sendable, Hashable {
  /// HTTP/2 over TLS when the server agrees to it (ALPN), else HTTP/1.1. Plain HTTP is HTTP/1.1.
  case http2
  /// HTTP/1.1 only.
  case http1
}
