import Logging

/// Which backend serves which URL scheme.
///
/// A registry is a value: an agent starts with the backends it links, adds its own schemes, and asks for sources by
/// the address its configuration names.
public struct BackendRegistry: Sendable {
  /// Makes a backend for an address.
  public typealias Factory = @Sendable (SourceAddress, BackendContext) throws -> any DesiredStateBackend

  private var factories: [String: Factory] = [:]

  public init() {}

  /// Lets a factory serve a scheme, given without the colon and in lower case; the last registration counts.
  /// A path without a scheme is served by `file`.
  public mutating func register(_ scheme: String, _ factory: @escaping Factory) {
    factories[scheme.lowercased()] = factory
  }

  /// The schemes served, sorted.
  public var schemes: [String] { factories.keys.sorted() }

  /// Makes the backend for an address.
  ///
  /// - Throws: ``SourceAddressError`` if the address cannot be read or nothing serves its scheme, and what the factory throws.
  public func backend(for address: String, context: BackendContext) throws -> any DesiredStateBackend {
    let address = try SourceAddress(address)
    guard let factory = factories[address.scheme] else {
      throw SourceAddressError(
        "nothing here serves '\(address.scheme):' (\(schemes.map { $0 + ":" }.joined(separator: ", ")) are served)")
    }
    return try factory(address, context)
  }
}

/// What a backend is given besides its address.
public struct BackendContext: Sendable {
  /// This device's name, as receipts and requests bear it.
  public var device: String
  /// Settings by name, as the command line names them without the dashes: `tls-ca`, `token-file`. All sources of an
  /// agent are given the same ones; a backend logs which of them it has no use for.
  public var settings: [String: String]
  /// Where a backend may keep what it can fetch again, across restarts: a directory that may not exist yet. Nil if
  /// there is none; a backend that needs one makes a temporary one then, and removes it in the end.
  public var cacheDirectory: String?
  /// Where the backend logs.
  public var logger: Logger

  public init(
    device: String, settings: [String: String] = [:], cacheDirectory: String? = nil,
    logger: Logger = Logger(label: "desired-state")
  ) {
    self.device = device
    self.settings = settings
    self.cacheDirectory = cacheDirectory
    self.logger = logger
  }

  /// Logs the settings that a backend has no use for.
  package func noteSettings(unusedBy what: String, besides used: Set<String>) {
    let unused = settings.keys.filter { !used.contains($0) }.sorted()
    if !unused.isEmpty { logger.notice("\(what) uses none of these settings: \(unused.joined(separator: ", "))") }
  }
}
