import DesiredState
import DesiredStateSupport
import FoundationEssentials

/// Reads one receipt, and finds out whose word it is.
struct ReceiptReader {
  let trust: FleetReceipts.Trust?
  let now: Date

  private struct Wire: Decodable {
    struct Status: Decodable {
      var state: String
      var error: DocumentStatus.Failure?
    }
    var device: String
    var deploymentId: String?
    var time: Date?
    var revision: Revision?
    var adoptedManifestVersion: UInt64?
    var origin: Origin?
    var status: Status
  }

  /// - Returns: what the receipt says, and its device if it can be read and is in that device's folder.
  func read(
    _ path: String, in folder: String, _ bytes: [UInt8], signatures: [UInt8]?
  ) -> (device: String?, receipt: DeviceReceipts.ReadReceipt) {
    func invalid(_ reason: String, _ device: String? = nil) -> (String?, DeviceReceipts.ReadReceipt) {
      (device, DeviceReceipts.ReadReceipt(proof: .invalid(printable(reason)), path: path))
    }
    guard !bytes.isEmpty else { return invalid("the file is empty, too long, or cannot be read") }
    let wire: Wire
    do {
      wire = try JSON.decode(Wire.self, from: bytes)
    } catch let error as JSONReader.Failure {
      return invalid("the receipt cannot be read: \(error)")
    } catch {
      return invalid("the receipt cannot be read: it lacks what a receipt says, or has it in another form")
    }
    guard Receipt.fileName(for: wire.device) == folder else {
      return invalid("the receipt is one of device \(quoted(wire.device)), in the folder of another")
    }
    let subject = wire.deploymentId.map { Acknowledgement.Subject.document($0) } ?? .state
    guard path == Receipt.pathInFolder(of: subject, device: wire.device) else {
      return invalid("the receipt is about something else than its name says", wire.device)
    }
    let proof = proof(of: bytes, signatures, device: wire.device)
    if case .invalid(let reason) = proof {
      var (device, receipt) = invalid(reason, wire.device)
      receipt.document = wire.deploymentId
      return (device, receipt)
    }
    return (
      wire.device,
      DeviceReceipts.ReadReceipt(
        document: wire.deploymentId, state: wire.status.state, time: wire.time, revision: wire.revision,
        version: wire.adoptedManifestVersion, origin: wire.origin, trouble: wire.status.error, proof: proof, path: path)
    )
  }

  private func proof(of bytes: [UInt8], _ signatures: [UInt8]?, device: String) -> ReceiptProof {
    guard let signatures else { return .unsigned }
    guard let trust else { return .unchecked }
    var policy = TrustPolicy.signatures(by: trust.allowedSigners)
    policy.revoked = trust.revoked
    do throws(VerificationError) {
      let verifier = Verifier(policy: policy, device: device, now: now)
      return .signed(
        try verifier.signers(
          of: bytes, signatures: [signatures], namespace: ReceiptSigner.namespace, named: true, principal: device))
    } catch {
      return .invalid(error.reason)
    }
  }
}
