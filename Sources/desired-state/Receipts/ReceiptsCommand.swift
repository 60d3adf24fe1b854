import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FoundationEssentials
import GitBackend
import RESTBackend
import SSHSignatures

struct ReceiptsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipts",
    abstract: "Lists the fleet as its receipts tell it: each device, its version, its trouble, and who vouches for it.",
    discussion: """
      SOURCE is where devices put their receipts: a drop directory; a Git repository, git+https://host/path (of each \
      device's branch, or of the one that ?ack-ref=BRANCH names); or the https: URL of a drop's manifest.json with \
      ?receipts=URL, where the devices must be named, because a server of files has no list: those of --trust that are \
      named without a pattern, and those of --device. Over https: only what devices say of the state as a whole is read. \
      Or it is the reference fleet manager, margo+http: and the address of its port for operators: it lists the newest \
      status of each deployment, and the time is when it came.

      With --trust, a receipt counts if its signature is by a key whose line names the device as a principal and has \
      namespaces="desired-state-receipt". One that does not is listed as invalid, and its words are not told. One \
      without a signature is listed as unsigned: everyone who can write there can have written it.

      Exit status: 0 if each receipt counts; 3 if one is invalid, or unsigned although a key is listed for its device; \
      5 if no receipt is there of a device that is named; 4 if the source cannot be reached.
      """)

  @Argument(help: "Where devices put their receipts.") var source: String
  @Option(
    help: ArgumentHelp("The devices' keys: an OpenSSH allowed_signers file.", valueName: "device-signers"))
  var trust: String?
  @Option(
    help: ArgumentHelp(
      "Never count these keys: public keys, one a line, or a list made by ssh-keygen -k.", valueName: "file"))
  var revoked: String?
  @Option(help: ArgumentHelp("List only this device. Repeatable.", valueName: "device")) var device: [String] = []
  @Option(help: "How long a source may take to answer: 500ms, 30s, 5m.")
  var timeout = TimeSpan(argument: "30s")!
  @Option(
    help: ArgumentHelp(
      "Write one page of HTML to this file, to sort and filter; it needs no network.", valueName: "file"))
  var html: String?
  @OptionGroup var transport: TransportOptions
  @Flag(help: "Print one JSON object a line, one a device.") var json = false

  func validate() throws {
    guard revoked == nil || trust != nil else { throw ValidationError("--revoked goes with --trust.") }
    guard html == nil || !json else { throw ValidationError("choose one of --html and --json.") }
  }

  func run() async throws {
    let trust = try await self.trust()
    let output = Output(isJSON: json)
    try await reporting {
      do {
        let now = Date()
        var devices = FleetReceipts(files: try await files(trust), trust: trust, devices: device, at: now).devices
        if !device.isEmpty { devices.removeAll { !device.contains($0.device) } }
        if let html {
          let page = FleetPage(source: source, devices: devices, now: now).html
          try await Worker("desired-state.page").run { try Files.replace(html, with: Array(page.utf8)) }
          Output.line(printable("\(devices.count) device\(devices.count == 1 ? "" : "s"), in \(html)"))
        } else {
          for device in devices { Output.line(json ? try JSON.line(ReceiptsLine(device, now)) : device.text(at: now)) }
          if devices.isEmpty, !json { Output.line("no receipts are there") }
        }
        if devices.contains(where: { $0.isDoubtful(trust) }) { throw ExitCode.rejected }
        if devices.contains(where: { $0.proof == .missing }) { throw ExitCode.absent }
      } catch let error as BackendError {
        output.write(.unavailable(error, source: source))
        throw ExitCode.unavailable
      }
    }
  }

  private func trust() async throws -> FleetReceipts.Trust? {
    guard let trust else { return nil }
    do {
      var keys = FleetReceipts.Trust(allowedSigners: try await KeyFiles.signers(trust))
      if let revoked { keys.revoked = [try await KeyFiles.revoked(revoked)] }
      return keys
    } catch let error as FileError {
      throw ValidationError("\(error)")
    }
  }

  // MARK: - Where they are

  private func files(_ trust: FleetReceipts.Trust?) async throws -> [String: [UInt8]] {
    do {
      let address = try SourceAddress(source)
      let context = BackendContext(device: "operator", settings: transport.settings)
      if GitReceipts.serves(address) {
        let receipts = try GitReceipts(address, context: context)
        let found = try await withTimeout(timeout.duration) {
          try await receipts.read(limit: FleetReceipts.maximumFileSize)
        }
        for passed in found.passedOver { Output.complain("passed over: \(passed)") }
        return found.files
      }
      if ManagerReceipts.serves(address) {
        return try await ManagerReceipts.read(
          from: address, context: context, limit: FleetReceipts.maximumFileSize, timeout: timeout.duration)
      }
      if ["http", "https"].contains(address.scheme) { return try await served(trust, context) }
      do {
        return try await FleetReceipts.files(inDrop: try address.filePath())
      } catch let error as FileError {
        throw BackendError(.unreachable, "\(error)", underlying: error)
      }
    } catch let error as SourceAddressError {
      throw ValidationError(Flags.added(to: error.description))
    }
  }

  private func served(_ trust: FleetReceipts.Trust?, _ context: BackendContext) async throws -> [String: [UInt8]] {
    let devices = device.isEmpty ? trust?.namedDevices ?? [] : device
    guard !devices.isEmpty else {
      throw ValidationError("name the devices, with --device or in the file of --trust: a server of files has no list.")
    }
    var registry = BackendRegistry()
    RESTBackend.register(in: &registry)
    guard let backend = try registry.backend(for: source, context: context) as? RESTBackend else { return [:] }
    var files: [String: [UInt8]] = [:]
    for device in devices {
      let path = Receipt.pathInFolder(of: .state, device: device)
      for path in [path, path + Receipt.signatureEnding] {
        do {
          files[path] = try await backend.receiptFile(
            at: path, limit: FleetReceipts.maximumFileSize, timeout: timeout.duration)
        } catch is VerificationError {
          // Too long. One file that others spoiled keeps no other device from being listed.
          files[path] = []
        } catch let error as BackendError where error.code == .protocolViolation {
          // Empty, or no file at all.
          files[path] = []
        }
      }
    }
    return files
  }
}

/// One line of `receipts --json`.
private struct ReceiptsLine: Encodable {
  struct Trouble: Encodable {
    var document: String?
    var state: String?
    var code: String
    var message: String
  }
  struct Document: Encodable {
    var document: String?
    var state: String?
    var version: UInt64?
    var time: Date?
    var signature: String
    var reason: String?
  }

  var device: String
  var version: UInt64?
  var revision: Revision?
  var origin: Origin?
  var state: String?
  var time: Date?
  /// In seconds.
  var age: Int?
  var trouble: [Trouble]
  var documents: [Document]
  var signature: String
  var signers: [Signer]
  var reason: String?

  init(_ receipts: DeviceReceipts, _ now: Date) {
    device = receipts.device
    let receipt = receipts.summary
    (version, revision, origin) = (receipt?.version, receipt?.revision, receipt?.origin)
    (state, time) = (receipt?.state, receipt?.time)
    age = time.map { Int(now.timeIntervalSince($0)) }
    trouble = receipts.troubles.map { receipt, failure in
      Trouble(document: receipt.document, state: receipt.state, code: failure.code, message: failure.message)
    }
    documents = receipts.documents.map {
      Document(
        document: $0.document, state: $0.state, version: $0.version, time: $0.time, signature: $0.proof.word,
        reason: $0.proof.reason)
    }
    let proof = receipts.proof
    signature = proof.word
    reason = proof.reason
    if case .signed(let some) = proof { signers = some } else { signers = [] }
  }
}

extension ReceiptProof {
  fileprivate var reason: String? {
    if case .invalid(let reason) = self { reason } else { nil }
  }
}

extension DeviceReceipts {
  /// Whether a receipt is not the device's word, or cannot be told from one that is not: where a key is listed for the
  /// device, its signature can have been taken away.
  fileprivate func isDoubtful(_ trust: FleetReceipts.Trust?) -> Bool {
    switch proof {
    case .invalid: true
    case .unsigned: trust?.speaksFor(device) ?? false
    case .signed, .unchecked, .missing: false
    }
  }

  var troubles: [(ReadReceipt, DocumentStatus.Failure)] {
    (([state].compactMap(\.self)) + documents).compactMap { receipt in receipt.trouble.map { (receipt, $0) } }
  }

  /// `press-42     adopted version 7 sha256:0123456789ab… 5m ago, signed by press-42 SHA256:…`
  fileprivate func text(at now: Date) -> String {
    var parts = [device.padded(to: 12)]
    let state = summary
    if let state, let word = state.state {
      parts.append(word)
      if let version = state.version { parts.append("version \(version)") }
      if let revision = state.revision { parts.append(String(revision.description.prefix(19)) + "…") }
      if let time = state.time { parts.append(Self.age(now.timeIntervalSince(time))) }
    }
    var text = parts.joined(separator: " ")
    switch proof {
    case .signed(let signers): text += ", signed by \(signers.map(\.description).joined(separator: ", "))"
    case .unchecked: text += ", with a signature that is not checked (--trust)"
    case .unsigned: text += ", unsigned"
    case .invalid(let reason): text += " INVALID: \(reason)"
    case .missing: text += " no receipt"
    }
    var lines = [printable(text)]
    func line(_ text: String) { lines.append("".padded(to: 13) + printable(text)) }
    if let origin = state?.origin, !origin.description.isEmpty { line(origin.description) }
    for (receipt, failure) in troubles {
      let subject = receipt.document.map { "document \(quoted($0)) " } ?? ""
      line("\(subject)\(receipt.state ?? ""): \(failure.code): \(failure.message)")
    }
    return lines.joined(separator: "\n")
  }

  static func age(_ seconds: TimeInterval) -> String {
    guard seconds >= 0 else { return "in the future of this clock" }
    let steps: [(TimeInterval, String)] = [(86400, "d"), (3600, "h"), (60, "m")]
    guard let (length, unit) = steps.first(where: { seconds >= $0.0 }) else { return "\(Int(seconds))s ago" }
    return seconds < 1e12 ? "\(Int(seconds / length))\(unit) ago" : "long ago"
  }
}
