import DesiredState
import DesiredStateSupport
import FoundationEssentials
import HTTPBackendSupport
import HTTPTransport
import HTTPTypes
import Logging

/// The authorities of a fleet manager's trust domain, from where they are published: looked at again as often as they want,
/// replaced as a whole, and never by older ones. See *Trust bundle and discovery* of the Margo identity framework.
///
/// The last bundle that was accepted is in a file, which the transport to the manager reads. So a device that cannot reach the
/// publisher goes on with it, also after a restart; one that never could has no authority, and believes no manager.
final class TrustBundle: Sendable {
  /// The content of the file: a SPIFFE bundle with members of our own, all in one file, so that a kill leaves the one or the other.
  private struct Record: Codable, Equatable {
    struct Key: Codable, Equatable {
      var use = "x509-svid"
      var x5c: [String]
    }
    var keys: [Key]
    var sequence: UInt64?
    var refreshHint: Int?
    var trustDomain: String
    var fetchedAt: Date

    enum CodingKeys: String, CodingKey {
      case keys
      case sequence = "spiffe_sequence"
      case refreshHint = "spiffe_refresh_hint"
      case trustDomain = "x-desired-state-trust-domain"
      case fetchedAt = "x-desired-state-fetched-at"
    }
  }

  private struct State {
    var record: Record?
    var isRead = false
    var failures = 0
    var notBefore: ContinuousClock.Instant?
  }

  /// Where a trust domain says that its bundle is.
  private struct Discovery: Decodable {
    var trustDomain: String
    var uri: String

    /// The names of the release, and those of the drafts before.
    enum CodingKeys: String, CodingKey {
      case trustDomain, trustBundleUri
      case draftTrustDomain = "trust_domain"
      case draftTrustBundleUri = "trust_bundle_uri"
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      func text(_ names: CodingKeys...) throws -> String? {
        try names.lazy.compactMap { try container.decodeIfPresent(String.self, forKey: $0) }.first
      }
      guard let uri = try text(.trustBundleUri, .draftTrustBundleUri),
        let domain = try text(.trustDomain, .draftTrustDomain)
      else { throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "no discovery document")) }
      (trustDomain, self.uri) = (domain, uri)
    }
  }

  /// Where the authorities are kept: the transport's trust.
  let file: String
  private let address: HTTPAddress
  private let trustDomain: String
  private let client: SourceClient
  private let logger: Logger
  private let state = LockedValue(State())
  private let worker = Worker("desired-state.trust-bundle")
  private let polls = SharedWork<Bool>()

  private static let sizeLimit = 1 << 20
  /// SPIFFE Federation section 6.2: without a hint, about every five minutes.
  private static let defaultInterval = Duration.seconds(300)
  private static let longestLook = Duration.seconds(10)
  private static let backoff = Backoff(first: .seconds(30), longest: .seconds(900))

  /// - Parameters:
  ///   - url: that of a discovery document (`/.well-known/margo`), or of a SPIFFE bundle or bundle map.
  ///   - trustDomain: the own one; no other's authorities are taken.
  ///   - directory: where the bundle is kept.
  ///   - transport: how to get there, and whose certificates are believed there. No certificate is shown.
  /// - Throws: `SourceAddressError` if the address is not https.
  init(
    url: String, trustDomain: String, directory: String, transport: HTTPTransport, logger: Logger
  ) throws(SourceAddressError) {
    address = try Self.address(url)
    self.trustDomain = trustDomain
    file = Files.join(directory, "bundle.json")
    client = SourceClient(transport: transport)
    self.logger = logger
  }

  private static func address(_ url: String) throws(SourceAddressError) -> HTTPAddress {
    guard url.lowercased().hasPrefix("https://") else {
      throw SourceAddressError("the trust bundle's address is not https: \(quoted(url, limit: 200))")
    }
    return try HTTPSourceAddress.parse(url, allowsPlainHTTP: false)
  }

  /// Looks for another bundle if it is time.
  ///
  /// - Returns: whether there is another one now.
  /// - Throws: `BackendError` if there is none to go by; `CancellationError`.
  @discardableResult
  func refresh(timeout: Duration) async throws -> Bool {
    try await polls.run { try await self.poll(timeout: timeout) }
  }

  private func poll(timeout: Duration) async throws -> Bool {
    if !state.withLock(\.isRead) {
      let record: Record?
      do {
        record = try await worker.run { [file] in
          guard try Files.status(of: file) != nil, let bytes = try Files.read(file, limit: Self.sizeLimit) else {
            return nil
          }
          return try? JSON.decode(Record.self, from: bytes)
        }
      } catch {
        throw BackendError(.protocolViolation, "the trust bundle of this device cannot be read: \(error)")
      }
      // That of another trust domain is another device's past.
      state.withLock { ($0.isRead, $0.record) = (true, record?.trustDomain == trustDomain ? record : nil) }
    }
    let known = state.withLock(\.record)
    let now = Date()
    if let known, !isDue(known, now) { return false }
    do {
      let bundle = try await fetch(timeout: min(timeout, Self.longestLook))
      if let sequence = known?.sequence, let other = bundle.sequence, other < sequence {
        throw BackendError(
          .protocolViolation,
          "the trust bundle at \(address) has sequence \(other), and \(sequence) was seen before: an old one may bring back an authority that was withdrawn"
        )
      }
      let record = Record(
        keys: bundle.authorities.map { Record.Key(x5c: [$0]) }, sequence: bundle.sequence ?? known?.sequence,
        refreshHint: bundle.refreshHint.map { Int($0.components.seconds) }, trustDomain: trustDomain, fetchedAt: now)
      let bytes = try JSON.file(record)
      try await worker.run { [file] in
        try Files.createDirectories(Files.parent(file), mode: 0o700)
        try Files.replace(file, with: bytes, mode: 0o600)
      }
      state.withLock { ($0.record, $0.failures, $0.notBefore) = (record, 0, nil) }
      guard known?.keys != record.keys else { return false }
      logger.notice(
        "the trust bundle has \(record.keys.count) authorities\(record.sequence.map { ", sequence \($0)" } ?? "")")
      return true
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      state.withLock { state in
        state.failures += 1
        state.notBefore = .now + Self.backoff.wait(afterFailures: state.failures, random: .random(in: 0...1))
      }
      guard known != nil else {
        throw error as? BackendError
          ?? BackendError(.protocolViolation, "the trust bundle cannot be kept on this device: \(error)")
      }
      // A publisher that is away for a while is no trouble yet; one that publishes what cannot be taken is.
      let isRefused = (error as? BackendError)?.code == .protocolViolation
      logger.log(
        level: isRefused ? .error : .warning,
        "the trust bundle stays as it is: \((error as? BackendError)?.message ?? "\(error)")")
      return false
    }
  }

  private func isDue(_ record: Record, _ now: Date) -> Bool {
    if let notBefore = state.withLock(\.notBefore), notBefore > .now { return false }
    let interval = record.refreshHint.map { Double($0) } ?? Self.defaultInterval / .seconds(1)
    // A clock that was set back since is not waited for.
    return record.fetchedAt > now || now.timeIntervalSince(record.fetchedAt) >= interval
  }

  private func fetch(timeout: Duration) async throws -> SPIFFEBundle {
    let deadline = ContinuousClock.now + timeout
    var bytes = try await get(address, deadline)
    if let discovery = try? JSON.decode(Discovery.self, from: bytes) {
      guard discovery.trustDomain == trustDomain else {
        throw BackendError(
          .protocolViolation,
          "\(address) is of the trust domain \(quoted(discovery.trustDomain, limit: 255)), and this device of \(trustDomain)"
        )
      }
      let next: HTTPAddress
      do { next = try Self.address(discovery.uri) } catch {
        throw BackendError(.protocolViolation, "\(address) says: \(error.description)")
      }
      bytes = try await get(next, deadline)
    }
    do throws(SPIFFEBundle.Fault) {
      return try SPIFFEBundle(parsing: bytes, trustDomain: trustDomain)
    } catch {
      throw BackendError(.protocolViolation, "the authorities at \(address) \(error)")
    }
  }

  private func get(_ address: HTTPAddress, _ deadline: ContinuousClock.Instant) async throws -> [UInt8] {
    do {
      guard
        let answer = try await client.get(
          address, "the trust bundle", headerFields: [.accept: "application/json"], limit: Self.sizeLimit,
          deadline: deadline)
      else { throw BackendError(.unreachable, "there is no trust bundle at \(address) (404 or 410)") }
      guard answer.address.origin.scheme == "https" else {
        throw BackendError(.protocolViolation, "\(address) leads to \(answer.address), which is not https")
      }
      return answer.body
    } catch let error as VerificationError {
      throw BackendError(.protocolViolation, error.reason)
    }
  }
}
