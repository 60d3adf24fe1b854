public import DesiredState
import DesiredStateSupport
public import FoundationEssentials

/// What became of the signature of a receipt.
public enum ReceiptProof: Sendable, Hashable {
  /// A key that may speak for the device signed it.
  case signed([Signer])
  /// A signature is there, and there is no list of keys to check it by.
  case unchecked
  /// There is no signature: everyone who can write there can have written it.
  case unsigned
  /// It is not the device's word, and its words are not told.
  case invalid(String)
  /// There is no receipt.
  case missing

  /// In one word, for programs.
  public var word: String {
    switch self {
    case .signed: "signed"
    case .unchecked: "unchecked"
    case .unsigned: "unsigned"
    case .invalid: "invalid"
    case .missing: "missing"
    }
  }
}

/// What a device says of itself: of the state as a whole, and of each document.
public struct DeviceReceipts: Sendable {
  /// One receipt.
  public struct ReadReceipt: Sendable {
    /// The document it is about; nil for the state as a whole, and for one that cannot be read.
    public var document: String?
    /// What it says, in one word: `adopted`, `rejected`, `installed`. Nil if it is invalid.
    public var state: String?
    /// When the device made it, by its own clock.
    public var time: Date?
    /// The revision that the device is on.
    public var revision: Revision?
    /// The version of it.
    public var version: UInt64?
    /// Where the revision came from.
    public var origin: Origin?
    /// What went wrong, if something did.
    public var trouble: DocumentStatus.Failure?
    /// Whether it is the device's word.
    public var proof: ReceiptProof
    /// Where the file is, below the folder of receipts.
    public var path: String
  }

  /// The device's name.
  public var device: String
  /// What it says of the state as a whole; nil if there is no such receipt.
  public var state: ReadReceipt?
  /// What it says of documents, and receipts that are not what their names say.
  public var documents: [ReadReceipt]

  /// How the device is as a whole: by its own word, or, where it says nothing of the whole, as over Margo's API, which has
  /// no place for that, as bad as the worst of its documents, and under the newest version that one of them names.
  public var summary: ReadReceipt? {
    if let state { return state }
    let told = documents.filter { $0.state != nil }
    let present = told.filter { $0.state != DocumentStatus.State.removed.rawValue }
    let components = (present.isEmpty ? told : present).compactMap { receipt in
      DocumentStatus.State(rawValue: receipt.state ?? "").map { DocumentStatus.Component(name: "", state: $0) }
    }
    guard
      var newest = told.max(by: {
        ($0.version ?? 0, $0.time ?? .distantPast) < ($1.version ?? 0, $1.time ?? .distantPast)
      }),
      !components.isEmpty
    else { return nil }
    newest.document = nil
    newest.state = DocumentStatus.overallState(of: components).rawValue
    newest.trouble = nil
    return newest
  }

  /// The worst of all its receipts: one forged receipt is a reason to look.
  public var proof: ReceiptProof {
    let all = [state].compactMap { $0?.proof } + documents.map(\.proof)
    for word in ["invalid", "unsigned", "unchecked"] {
      if let proof = all.first(where: { $0.word == word }) { return proof }
    }
    var signers: [Signer] = []
    for case .signed(let some) in all { signers += some.filter { !signers.contains($0) } }
    return all.isEmpty ? .missing : .signed(signers)
  }

  init(silent device: String) {
    self.device = device
    documents = []
  }

  init(folder: String, _ receipts: [(device: String?, receipt: ReadReceipt)]) {
    // A name that was too long for a folder is in the receipts alone.
    device =
      receipts.lazy.compactMap(\.device).first
      ?? PercentEncoding.decode(folder[...].utf8).map { printable($0, limit: 256) } ?? printable(folder, limit: 256)
    let statePath = folder + "/" + Receipt.stateName
    state = receipts.first { $0.receipt.path == statePath }?.receipt
    documents = receipts.map(\.receipt).filter { $0.path != statePath }
  }
}
