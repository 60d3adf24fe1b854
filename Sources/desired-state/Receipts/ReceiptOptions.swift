import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher

/// How a device proves that a receipt is its own.
struct ReceiptOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Sign receipts with this SSH key, by ssh-keygen; a public key if an agent or token has the private one.",
      valueName: "file"))
  var receiptKey: String?

  func validate() throws {
    guard let receiptKey, FileStatus(at: receiptKey) == nil else { return }
    throw ValidationError("--receipt-key: there is no file \(receiptKey).")
  }

  /// Adds the key to what backends are given.
  func add(to settings: inout BackendSettings) {
    guard let receiptKey else { return }
    let signer = SSHKeygenSigner(keys: [receiptKey], namespace: ReceiptSigner.namespace)
    settings[.receiptSigner] = ReceiptSigner { try await signer.sign($0) }
  }
}
