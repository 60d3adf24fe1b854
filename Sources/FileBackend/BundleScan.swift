package import DesiredState
import DesiredStateSupport
import DropArchive
import Glibc

/// The contents of a bundle, found out in one pass over all of it, slice by slice.
///
/// Every entry is looked at before anything of the bundle is used: one that has no place in it condemns the whole,
/// wherever it stands, and a bundle that is still being copied is not begun with.
final class BundleScan {
  private let reader: TarReader
  private let file: SharedFile
  private let limits: Limits
  private var entries: [String: Entry] = [:]
  /// The manifests found so far: at the top, or in the one directory that everything is in.
  private var manifests: [String: [UInt8]] = [:]
  /// Signature files by path: all of them as long as it is not known which manifest counts.
  private var signatures: [String: [UInt8]] = [:]
  private var signatureBytes = 0

  private enum Entry {
    case directory
    case file(position: Int)
  }

  /// What came of a slice.
  enum Progress: Sendable {
    case unfinished
    /// The manifest at the top of the bundle is the current one; the rest was not looked at.
    case unchanged
    case finished(Bundle)
  }

  init(_ file: SharedFile, limits: Limits) throws {
    self.file = file
    self.limits = limits
    reader = try TarReader(file, limits: limits)
  }

  /// Goes on for one slice of time.
  ///
  /// - Throws: ``VerificationError``; ``FileError``.
  func proceed(current: Revision?) throws -> Progress {
    let deadline = ContinuousClock.now + Access.slice
    while true {
      guard try reader.skip(until: deadline) else { return .unfinished }
      guard let entry = try reader.next() else { return .finished(try bundle()) }
      try note(entry)
      guard !entry.isDirectory else { continue }
      if try readManifest(entry), entry.path == DropLayout.manifest, let current,
        Revision(ofManifest: manifests[entry.path]!) == current
      {
        return .unchanged
      }
      try readSignatures(entry)
      if ContinuousClock.now > deadline { return .unfinished }
    }
  }

  private func note(_ entry: TarReader.Entry) throws {
    switch (entries[entry.path], entry.isDirectory) {
    case (nil, false): entries[entry.path] = .file(position: reader.position)
    case (nil, true), (.directory, true): entries[entry.path] = .directory
    default:
      throw VerificationError(
        .manifestMalformed, "\(DirectoryWalk.shown(entry.path)) is in \(file.open.path) twice; pack it anew")
    }
  }

  /// Reads `manifest.json`, or `<directory>/manifest.json`; whether it was one.
  private func readManifest(_ entry: TarReader.Entry) throws -> Bool {
    let components = entry.path.split(separator: "/")
    guard components.last.map(String.init) == DropLayout.manifest, components.count <= 2 else { return false }
    guard let bytes = try reader.read(limit: limits.manifestSize) else {
      throw VerificationError(
        .limitExceeded, "\(entry.path) in \(file.open.path) is longer than the limit of \(limits.manifestSize) bytes")
    }
    // Of two in directories neither can be meant, so no more than the digest of a third is worth keeping.
    if components.count == 1 || manifests.count < 3 { manifests[entry.path] = bytes }
    return true
  }

  private func readSignatures(_ entry: TarReader.Entry) throws {
    let components = entry.path.split(separator: "/")
    guard (2...3).contains(components.count), components[components.count - 2] == DropLayout.signatures,
      entry.path.hasSuffix(".sig")
    else { return }
    guard let bytes = try reader.read(limit: limits.evidenceSize) else {
      throw VerificationError(
        .limitExceeded, "\(entry.path) in \(file.open.path) is longer than the limit of \(limits.evidenceSize) bytes")
    }
    signatures[entry.path] = bytes
    signatureBytes += bytes.count
    guard signatureBytes <= 16 * limits.evidenceSize else {
      throw VerificationError(
        .limitExceeded,
        "\(file.open.path) has more signatures than 16 manifests may have; prune the drop and pack it anew")
    }
  }

  private func bundle() throws -> Bundle {
    let path: String
    if manifests[DropLayout.manifest] != nil {
      path = DropLayout.manifest
    } else if manifests.count <= 1, let only = manifests.keys.first {
      path = only
    } else {
      throw VerificationError(
        .manifestMalformed,
        manifests.isEmpty
          ? "\(file.open.path) has no \(DropLayout.manifest); pack a drop, with its files at the top or in one directory"
          : "\(file.open.path) has more than one \(DropLayout.manifest); pack one drop")
    }
    let manifest = manifests[path]!
    let top = String(path.dropLast(DropLayout.manifest.utf8.count))
    var positions: [String: Int] = Dictionary(minimumCapacity: entries.count)
    for case (let path, .file(let position)) in entries where path.hasPrefix(top) {
      positions[String(path.dropFirst(top.count))] = position
    }
    let signature = signatures[top + DropLayout.signatures(of: Revision(ofManifest: manifest))]
    return Bundle(
      manifest: manifest, signatures: signature.map { [$0] } ?? [], positions: positions, file: file, limits: limits)
  }
}

/// A bundle that was looked through.
struct Bundle: Sendable {
  let manifest: [UInt8]
  let signatures: [[UInt8]]
  /// Where each file stands: the number of its entry, counted from one.
  let positions: [String: Int]
  let file: SharedFile
  let limits: Limits
}

/// Looks for the manifest of a bundle that may not be there.
package enum BundleManifest {
  /// The manifest's bytes; `.some(nil)` if there is no bundle.
  package static func read(_ path: String, limits: Limits) throws -> [UInt8]?? {
    let file: SharedFile
    do throws(FileError) {
      file = SharedFile(try OpenFile.reading(path))
    } catch {
      guard error.code == ENOENT else { throw error }
      return .some(nil)
    }
    let scan = try BundleScan(file, limits: limits)
    while true {
      if case .finished(let bundle) = try scan.proceed(current: nil) { return bundle.manifest }
    }
  }
}
