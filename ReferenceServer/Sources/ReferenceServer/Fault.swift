import DesiredState
import FoundationEssentials
import HTTPTypes
import Hummingbird

/// What a client asks for, as far as faults tell requests apart.
enum Operation: String, Codable, Sendable, CaseIterable {
  case manifest, document, bundle, status, capabilities, onboarding
}

/// Something that goes wrong on purpose.
struct Fault: Codable, Sendable, Equatable {
  var fault: Kind
  /// Only for this client; nil: for each.
  var client: String?
  /// Only for this operation; nil: for each that the fault can happen to.
  var on: Operation?
  /// For how many requests still; nil: until it is taken away.
  var requests: Int?
  /// `late`: of waiting before the answer. `rate-limited` and `unavailable`: of `Retry-After`. Default 5.
  var seconds: Double?
  /// `drip`: default 16.
  var bytesPerSecond: Double?
  /// `redirect`: where to. Default: the same path at a host that does not exist.
  var location: String?

  enum Kind: String, Codable, Sendable, CaseIterable {
    /// The answer comes after `seconds`.
    case late
    /// The connection is closed in the middle of the body.
    case truncated
    /// A byte of the content is another one.
    case wrongDigest = "wrong-digest"
    /// The manifest has a lower version than the published one; version 1 has none below it and stays.
    case rollback
    /// The manifest has the published version and other bytes: a document is left out.
    case equivocation
    /// The artifact is not there.
    case missing
    /// 429 with `Retry-After`.
    case rateLimited = "rate-limited"
    /// 503 with `Retry-After`.
    case unavailable
    /// 307 to somewhere else.
    case redirect
    /// The body comes a few bytes at a time.
    case drip

    var operations: Set<Operation> {
      switch self {
      case .late, .rateLimited, .unavailable, .redirect: Set(Operation.allCases)
      case .truncated, .drip: [.manifest, .document, .bundle]
      case .wrongDigest, .missing: [.document, .bundle]
      case .rollback, .equivocation: [.manifest]
      }
    }
  }

  /// What cannot be meant.
  func check() throws {
    var errors: [Problem.FieldError] = []
    if let on, !fault.operations.contains(on) {
      errors.append(.init(field: "on", message: "\(fault.rawValue) cannot happen to \(on.rawValue)"))
    }
    if let requests, requests < 1 { errors.append(.init(field: "requests", message: "has to be 1 at least")) }
    if let seconds, !(0...86_400).contains(seconds) {
      errors.append(.init(field: "seconds", message: "has to be from 0 to 86400"))
    }
    if let bytesPerSecond, !(0.01...1_000_000).contains(bytesPerSecond) {
      errors.append(.init(field: "bytesPerSecond", message: "has to be from 0.01 to 1000000"))
    }
    guard errors.isEmpty else { throw Problem.semanticError(errors) }
  }

  /// What happens before the request is looked into: it takes longer, or gets another answer than it should.
  func begin(_ request: Request) async throws -> Response? {
    let seconds = seconds ?? 5
    switch fault {
    case .late:
      try await Task.sleep(for: .seconds(seconds))
      return nil
    case .rateLimited:
      throw Problem.other(
        .tooManyRequests, "The switchboard has this client slow down.", retryAfter: Int(seconds.rounded(.up)))
    case .unavailable:
      throw Problem.other(
        .serviceUnavailable, "The switchboard has this server be down.", retryAfter: Int(seconds.rounded(.up)))
    case .redirect:
      let location = location ?? "https://elsewhere.invalid\(request.uri.path)"
      return Response(status: .temporaryRedirect, headers: [.location: location])
    case .missing, .truncated, .wrongDigest, .rollback, .equivocation, .drip: return nil
    }
  }

  /// The manifest that is served in place of the right one.
  func altered(_ manifest: StateManifest) -> StateManifest {
    var manifest = manifest
    switch fault {
    case .rollback: manifest.version = manifest.version.map { max(1, $0 - 1) }
    case .equivocation:
      manifest.documents = manifest.documents.dropLast()
      manifest.bundle = nil
      // Other bytes also where there is nothing to leave out; the same ones at each request.
      manifest.issued = Date(timeIntervalSince1970: 0)
    default: break
    }
    return manifest
  }

  /// The content that is served in place of the right one.
  func altered(_ bytes: [UInt8]) -> [UInt8] {
    guard fault == .wrongDigest, !bytes.isEmpty else { return bytes }
    var bytes = bytes
    bytes[bytes.count / 2] ^= 1
    return bytes
  }

  /// How the body is sent; nil: as always.
  func body(_ bytes: [UInt8]) -> ResponseBody? {
    switch fault {
    case .truncated:
      ResponseBody(contentLength: bytes.count) { writer in
        try await writer.write(ByteBuffer(bytes: bytes.prefix(bytes.count / 2)))
        // Hummingbird closes a connection whose body ends with an error.
        throw Truncated()
      }
    case .drip:
      ResponseBody(contentLength: bytes.count) { [bytesPerSecond] writer in
        for byte in bytes {
          try await writer.write(ByteBuffer(bytes: [byte]))
          try await Task.sleep(for: .seconds(1 / (bytesPerSecond ?? 16)))
        }
        try await writer.finish(nil)
      }
    default: nil
    }
  }

  private struct Truncated: Error {}
}
