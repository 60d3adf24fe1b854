import ArgumentParser
import DesiredState
import DesiredStateSupport
import FileBackend
import GitBackend
import Glibc
import Logging
import RESTBackend
import SSHSignatures

/// Who this device is and how it talks.
struct AgentOptions: ParsableArguments {
  @Option(help: "This device's name, as manifests and receipts bear it. (default: the host name)")
  var device: String?

  @Option(help: "How long a source may take to answer: 500ms, 30s, 5m.")
  var timeout = TimeSpan(argument: "30s")!

  @Flag(name: .shortAndLong, help: "Log more, to standard error.")
  var verbose = false

  var deviceName: String { device ?? hostName() }

  func validate() throws {
    guard !deviceName.isEmpty else { throw ValidationError("--device must not be empty.") }
    guard timeout.duration > .zero else { throw ValidationError("--timeout must be more than 0.") }
  }

  func logger() -> Logger {
    var logger = Logger(label: "desired-state") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = verbose ? .debug : .error
    return logger
  }

  /// Where a store keeps what its backends must not lose.
  static func recordDirectory(ofStore store: String) -> String { Files.join(store, "records") }

  /// The backends for addresses, from everything this program links.
  ///
  /// - Throws: ValidationError if an address cannot be used, or if options are given that none of the sources honours.
  /// - Parameters:
  ///   - store: the store beside which backends may keep what they can fetch again; nil if there is none.
  ///   - capabilities: the file of what fleet managers are to know of this device.
  func backends(
    for addresses: [String], over transport: TransportOptions, receipts: ReceiptOptions? = nil, store: String? = nil,
    capabilities: String? = nil
  ) throws -> [any DesiredStateBackend] {
    var registry = BackendRegistry()
    FileBackend.register(in: &registry)
    RESTBackend.register(in: &registry)
    MargoBackend.register(in: &registry)
    GitBackend.register(in: &registry)
    for address in addresses {
      if let advice = GitBackend.advice(on: address) { throw ValidationError(advice + ".") }
    }
    do {
      var settings = transport.settings
      settings[.capabilities] = capabilities
      receipts?.add(to: &settings)
      let given = settings.keys
      let used = try addresses.reduce(into: Set<BackendSettings.Key>()) {
        $0.formUnion(try registry.settings(given, usedFor: $1))
      }
      if let flag = given.subtracting(used).map(Flags.flag).min() {
        throw ValidationError(
          "\(flag) is of no use for \(addresses.count == 1 ? "this source" : "any of these sources").")
      }
      let context = BackendContext(
        device: deviceName, settings: settings, cacheDirectory: store.map { Files.join($0, "cache") },
        recordDirectory: store.map(Self.recordDirectory), logger: logger())
      return try addresses.map { try registry.backend(for: $0, context: context) }
    } catch let error as SourceAddressError {
      throw ValidationError(Flags.added(to: error.description))
    }
  }
}

private func hostName() -> String {
  var buffer = [UInt8](repeating: 0, count: 256)
  let isKnown = buffer.withUnsafeMutableBytes {
    gethostname($0.baseAddress!.assumingMemoryBound(to: CChar.self), 255) == 0
  }
  return isKnown ? String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self) : "localhost"
}
