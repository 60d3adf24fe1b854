import DropPublisher
import Foundation

@testable import DesiredState
@testable import DesiredStateSupport

extension Read {
  static func manifest(_ bytes: [UInt8]) {
    let isRead = (try? JSONReader.validate(bytes)) != nil
    if isRead {
      // What this package reads, every reader does: it is stricter than others, and never the other way round.
      let other = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
      check(other != nil || hasLargeNumber(bytes), "another reader reads the same")
    }
    guard let manifest = try? StateManifest(parsing: bytes, requiresVersion: false) else { return }
    check(isRead, "a manifest is JSON")
    let encoded = manifest.encoded()
    guard let again = try? StateManifest(parsing: encoded, requiresVersion: false) else {
      fatalError("its own text can be read")
    }
    check(again.encoded() == encoded, "its own text is read as it was")
    check(again.documents.map(\.digest) == manifest.documents.map(\.digest), "the documents stay the same")
  }

  /// Foundation refuses numbers beyond a Double, which the grammar has.
  private static func hasLargeNumber(_ bytes: [UInt8]) -> Bool {
    bytes.contains { "eE".utf8.contains($0) } || bytes.filter { (0x30...0x39).contains($0) }.count > 18
  }

  static func trustUpdate(_ bytes: [UInt8]) {
    guard let update = try? TrustUpdate(parsing: bytes) else { return }
    check(update.version > 0 && update.threshold > 0 && update.trustThreshold > 0, "an update has its numbers")
    // Fractions of a second are not written.
    let encoded = update.encoded()
    check((try? TrustUpdate(parsing: encoded))?.encoded() == encoded, "its own text is read as it was")
  }

  private static let trust = (try? AllowedSigners(parsing: "")).map { FleetReceipts.Trust(allowedSigners: $0) }

  static func receipt(_ bytes: [UInt8]) {
    let files = ["a/state.json": bytes, "a/state.json.sig": bytes, "a/documents/x.json": bytes]
    for device in FleetReceipts(files: files, trust: trust, at: Date(timeIntervalSince1970: 1_800_000_000)).devices {
      if case .signed = device.proof { fatalError("no key is listed") }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    let name = Receipt.fileName(for: text)
    check(!name.isEmpty && name.utf8.count <= 200 && !name.contains("/"), "a file's name is one")
    check(printable(text).unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }, "shown text is plain")
    if let time = Timestamp.parse(text) {
      let written = Timestamp.text(time)
      check(Timestamp.parse(written).map(Timestamp.text) == written, "a time that is written can be read")
    }
  }
}
