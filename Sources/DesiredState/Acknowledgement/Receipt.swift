import DesiredStateSupport
import FoundationEssentials

/// An acknowledgement as a file: what a drop or a repository holds under `acknowledgements/<device>/`.
///
/// About a document it is Margo's `DeploymentStatusManifest` with `adoptedManifestVersion`, `revision`, `device` and
/// `time` added; about the state as a whole it is of this package's own kind, `DesiredStateReceipt`, in the same shape.
/// One file per subject, so that the newest acknowledgement replaces the one before.
public struct Receipt: Sendable {
  /// Where the file belongs, relative to the root of the drop. Only characters that any file system accepts.
  public let path: String
  /// The file's content.
  public let bytes: [UInt8]
  /// The armored SSH signature over the content, which belongs beside it at ``signaturePath``; nil if it is unsigned.
  public private(set) var signature: [UInt8]?

  /// Where the signature belongs, relative to the root of the drop.
  public var signaturePath: String { path + Self.signatureEnding }

  /// What the name of a receipt's signature ends in, behind the receipt's own name.
  public static let signatureEnding = ".sig"

  /// A path below the root of the drop, as one below the folder that all receipts are in: for a source whose receipts have
  /// a folder of their own.
  public static func inFolder(_ path: String) -> String {
    String(path.dropFirst(DropLayout.acknowledgements.utf8.count + 1))
  }

  /// The name of the receipt about the state as a whole, in its device's folder.
  package static let stateName = "state.json"

  /// Where the receipt of a device about a subject is, below the folder that all receipts are in.
  public static func pathInFolder(of subject: Acknowledgement.Subject, device: String) -> String {
    let folder = fileName(for: device)
    return switch subject {
    case .state: "\(folder)/\(stateName)"
    case .document(let id): "\(folder)/documents/\(fileName(for: id)).json"
    }
  }

  /// An acknowledgement as a file, signed if there is a signer.
  ///
  /// - Throws: ``BackendError`` with `unauthorized` if it cannot be signed now; `CancellationError`.
  public init(_ acknowledgement: Acknowledgement, signer: ReceiptSigner?) async throws {
    try self.init(acknowledgement)
    signature = try await signer?.signature(over: bytes)
  }

  /// An acknowledgement as a file without a signature.
  public init(_ acknowledgement: Acknowledgement) throws {
    path =
      DropLayout.acknowledgements + "/" + Self.pathInFolder(of: acknowledgement.subject, device: acknowledgement.device)
    bytes = try JSON.file(Wire(acknowledgement))
  }

  /// A name that is safe on any file system and different for different texts: everything but a letter, a digit, `-`, `_`
  /// or a dot inside is percent-encoded, and what would be too long is named by its digest.
  package static func fileName(for text: String) -> String {
    var name = ""
    for (index, byte) in text.utf8.enumerated() {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        name.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: ".") where index > 0: name += "."
      default: name += byte < 16 ? "%0\(String(byte, radix: 16))" : "%\(String(byte, radix: 16))"
      }
    }
    return name.isEmpty || name.utf8.count > 200 ? Digest.of(text.utf8).fileName : name
  }

  private struct Wire: Encodable {
    var apiVersion: String
    var kind: String
    var acknowledgementId: String
    var device: String
    var time: Date
    var revision: Revision?
    var adoptedManifestVersion: UInt64?
    var origin: Origin?
    var status: Status
    // About a document only.
    var deploymentId: String?
    var deviceId: String?
    var components: [DocumentStatus.Component]?
    // About a rejected state only.
    var rejectedRevision: Revision?
    var rejectedManifestVersion: UInt64?
    var rejectedOrigin: Origin?
    // About a state that the device left only.
    var leftRevision: Revision?
    var leftManifestVersion: UInt64?

    struct Status: Encodable {
      var state: String
      var error: DocumentStatus.Failure?
    }

    init(_ acknowledgement: Acknowledgement) {
      apiVersion = "desired-state/v1"
      kind = "DesiredStateReceipt"
      acknowledgementId = acknowledgement.id
      device = acknowledgement.device
      time = acknowledgement.time
      revision = acknowledgement.revision
      adoptedManifestVersion = acknowledgement.adoptedManifestVersion
      origin = acknowledgement.origin
      switch acknowledgement.outcome {
      case .adopted:
        status = Status(state: "adopted")
      case .rejected(let rejection):
        status = Status(
          state: "rejected",
          error: DocumentStatus.Failure(code: rejection.code, message: rejection.reason))
        rejectedRevision = rejection.revision
        rejectedManifestVersion = rejection.version
        rejectedOrigin = rejection.origin
      case .rolledBack(let left), .failed(let left):
        var state = "rolled-back"
        if case .failed = acknowledgement.outcome { state = "failed" }
        status = Status(state: state, error: DocumentStatus.Failure(code: left.code, message: left.reason))
        leftRevision = left.revision
        leftManifestVersion = left.version
      case .reset(let what):
        status = Status(
          state: "reset", error: DocumentStatus.Failure(code: "operator", message: what.joined(separator: ", ")))
      case .document(let document):
        apiVersion = "deployment.margo.org/v1alpha1"
        kind = "DeploymentStatusManifest"
        deploymentId = document.documentID
        deviceId = document.device ?? acknowledgement.device
        status = Status(state: document.state.rawValue, error: document.error)
        components = document.components
      }
    }
  }
}
