public import Logging

/// Which backend serves which URL scheme.
///
/// A registry is a value: an agent starts with the backends it links, adds its own schemes, and asks for sources by
/// the address its configuration names.
public struct BackendRegistry: Sendable {
  private typealias Factory = @Sendable (SourceAddress, BackendContext) throws -> any DesiredStateBackend

  private struct Entry {
    var settings: (@Sendable (SourceAddress) -> Set<BackendSettings.Key>)?
    var factory: Factory
  }

  private var entries: [String: Entry] = [:]

  /// A registry that serves no scheme yet.
  public init() {}

  /// Lets a factory serve a scheme, given without the colon and in lower case; the last registration counts.
  /// A path without a scheme is served by `file`.
  ///
  /// - Parameters:
  ///   - scheme: the scheme of its addresses, in lower case.
  ///   - settings: the keys of the ``BackendContext/settings`` that the backend has a use for: it is given these
  ///     alone. Nil: all, and the backend knows what to make of them.
  ///   - factory: makes a backend of an address.
  public mutating func register(
    _ scheme: String, settings: Set<BackendSettings.Key>? = nil,
    _ factory: @escaping @Sendable (SourceAddress, BackendContext) throws -> any DesiredStateBackend
  ) {
    var used: (@Sendable (SourceAddress) -> Set<BackendSettings.Key>)?
    if let settings { used = { _ in settings } }
    entries[scheme.lowercased()] = Entry(settings: used, factory: factory)
  }

  /// As ``register(_:settings:_:)``, for a backend whose use for settings depends on the address.
  public mutating func register(
    _ scheme: String, settings: @escaping @Sendable (SourceAddress) -> Set<BackendSettings.Key>,
    _ factory: @escaping @Sendable (SourceAddress, BackendContext) throws -> any DesiredStateBackend
  ) {
    entries[scheme.lowercased()] = Entry(settings: settings, factory: factory)
  }

  /// The schemes served, sorted.
  package var schemes: [String] { entries.keys.sorted() }

  /// Makes the backend for an address. Of the settings it logs those that the backend has no use for.
  ///
  /// - Throws: ``SourceAddressError`` if the address cannot be read or nothing serves its scheme, and what the factory throws.
  public func backend(for address: String, context: BackendContext) throws -> any DesiredStateBackend {
    let address = try SourceAddress(address)
    let entry = try entry(for: address)
    var context = context
    if let used = entry.settings?(address) {
      let unused = context.settings.keys.subtracting(used).map(\.words).sorted()
      if !unused.isEmpty {
        context.logger.notice(
          "a source of '\(address.scheme):' uses none of these settings: \(unused.joined(separator: ", "))")
      }
      context.settings = context.settings.limited(to: used)
    }
    return try entry.factory(address, context)
  }

  /// Those of these settings that the backend for an address has a use for.
  ///
  /// - Throws: ``SourceAddressError`` if the address cannot be read or nothing serves its scheme.
  package func settings(
    _ keys: Set<BackendSettings.Key>, usedFor address: String
  ) throws(SourceAddressError) -> Set<BackendSettings.Key> {
    let address = try SourceAddress(address)
    return try entry(for: address).settings.map { keys.intersection($0(address)) } ?? keys
  }

  private func entry(for address: SourceAddress) throws(SourceAddressError) -> Entry {
    guard let entry = entries[address.scheme] else {
      throw SourceAddressError(
        "nothing here serves '\(address.scheme):' (\(schemes.map { $0 + ":" }.joined(separator: ", ")) are served)",
        code: .unserved)
    }
    return entry
  }
}

/// The part of a backend's configuration that is not in its address.
public struct BackendContext: Sendable {
  /// This device's name, as receipts and requests bear it.
  public var device: String
  /// How sources are reached. All sources of an agent are given the same settings, each those of them that it has a use
  /// for.
  public var settings: BackendSettings
  /// Where a backend may keep what it can fetch again, across restarts: a directory that may not exist yet. Nil if
  /// there is none; a backend that needs one makes a temporary one then, and removes it in the end.
  public var cacheDirectory: String?
  /// Where a backend keeps what must not be lost: a directory that may not exist yet, readable by this user alone. Nil if
  /// there is none; then the backend keeps nothing, and does without.
  public var recordDirectory: String?
  /// Where the backend logs.
  public var logger: Logger

  /// A context of these parts.
  public init(
    device: String, settings: BackendSettings = BackendSettings(), cacheDirectory: String? = nil,
    recordDirectory: String? = nil, logger: Logger = Logger(label: "desired-state")
  ) {
    self.device = device
    self.settings = settings
    self.cacheDirectory = cacheDirectory
    self.recordDirectory = recordDirectory
    self.logger = logger
  }
}
