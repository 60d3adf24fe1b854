public import DesiredState
import DesiredStateSupport
public import FoundationEssentials
import Glibc
public import SSHSignatures

/// A fleet as its receipts tell it: each device with its version, its trouble, and who vouches for its word.
public struct FleetReceipts: Sendable {
  /// Whose word counts for which device.
  public struct Trust: Sendable {
    /// The devices' keys. A key speaks for a device that the principals of its line match, and only if the line names
    /// the namespace `desired-state-receipt`.
    public var allowedSigners: AllowedSigners
    /// Keys that must not count, whatever the allowed signers say.
    public var revoked: [RevokedKeys]

    /// The devices' keys, and those of them that must not count.
    public init(allowedSigners: AllowedSigners, revoked: [RevokedKeys] = []) {
      self.allowedSigners = allowedSigners
      self.revoked = revoked
    }

    /// The lines whose keys may sign receipts.
    private var entries: [AllowedSigners.Entry] {
      allowedSigners.entries.filter { $0.namespaces?.matches(ReceiptSigner.namespace) ?? false }
    }

    /// The devices that lines name without a pattern: those that ought to be heard of.
    public var namedDevices: [String] {
      let patterns = entries.flatMap(\.principals.patterns)
      return Set(patterns.filter { !$0.hasPrefix("!") && !$0.contains { "*?".contains($0) } }).sorted()
    }

    /// Whether a line names the device, so that its receipts ought to be signed.
    public func speaksFor(_ device: String) -> Bool {
      entries.contains { $0.principals.matches(device) }
    }
  }

  /// The devices, sorted by their names.
  public let devices: [DeviceReceipts]

  /// The longest receipt, and the longest file of signatures, that is read, in bytes.
  public static let maximumFileSize = 1 << 20

  /// What files say.
  ///
  /// - Parameters:
  ///   - files: receipts and their signatures, by their paths below the folder `acknowledgements`: `press-42/state.json`,
  ///     `press-42/state.json.sig`.
  ///   - trust: whose word counts; nil if no signature is to be checked.
  ///   - expected: devices that ought to be heard of, beside those that `trust` names.
  ///   - now: the time at which keys must be valid. That of a receipt is its device's word, and proves nothing.
  public init(files: [String: [UInt8]], trust: Trust? = nil, devices expected: [String] = [], at now: Date) {
    let reader = ReceiptReader(trust: trust, now: now)
    let paths = files.keys.filter { !$0.hasSuffix(Receipt.signatureEnding) }
    let folders = Dictionary(grouping: paths) { String($0.prefix { $0 != "/" }) }
    var devices = folders.map { folder, paths in
      DeviceReceipts(
        folder: folder,
        paths.sorted().map { path in
          reader.read(path, in: folder, files[path] ?? [], signatures: files[path + Receipt.signatureEnding])
        })
    }
    let heard = Set(folders.keys)
    for device in Set(expected + (trust?.namedDevices ?? [])) where !heard.contains(Receipt.fileName(for: device)) {
      devices.append(DeviceReceipts(silent: device))
    }
    self.devices = devices.sorted { $0.device < $1.device }
  }

  /// The receipts in a drop on a disk, as ``init(files:trust:devices:at:)`` takes them.
  ///
  /// - Throws: `FileError`, also if the drop is not there; one without receipts has none.
  public static func files(inDrop path: String) async throws -> [String: [UInt8]] {
    try await Worker("desired-state.receipts").run {
      let drop = try OpenDirectory(path)
      var files: [String: [UInt8]] = [:]
      let root = Files.join(path, DropLayout.acknowledgements)
      guard try drop.holds(DropLayout.acknowledgements) else { return files }
      for device in try Files.names(in: root) where !DropLayout.isHidden(device) {
        for folder in [device, device + "/documents"] where Files.isDirectory(Files.join(root, folder)) {
          for name in try Files.names(in: Files.join(root, folder)) where !DropLayout.isHidden(name) {
            let path = "\(folder)/\(name)"
            guard name.hasSuffix(".json") || name.hasSuffix(".json" + Receipt.signatureEnding) else { continue }
            files[path] = read(DropLayout.acknowledgements + "/" + path, in: drop)
          }
        }
      }
      return files
    }
  }

  /// A file of a drop; nothing outside of that is read, whatever a link says. What cannot be read, or is too long, is
  /// empty: one file that another device spoiled keeps no other from being listed.
  private static func read(_ path: String, in drop: borrowing OpenDirectory) -> [UInt8]? {
    do throws(FileError) {
      return try Files.read(drop.file(at: path), limit: maximumFileSize) ?? []
    } catch {
      return error.code == ENOENT ? nil : []
    }
  }
}
