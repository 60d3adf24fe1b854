package import DesiredState
import DesiredStateSupport

/// The receipts in a repository, as the operator of a fleet reads them: from every device's branch, or from the one that
/// the devices share.
package struct GitReceipts: Sendable {
  /// The findings.
  package struct Found: Sendable {
    /// Files by their paths below the folder of receipts.
    package var files: [String: [UInt8]] = [:]
    /// The receipts passed over, and why, in words.
    package var passedOver: [String] = []
  }

  private let repository: any GitRepository
  private let shared: String?
  /// The repository, without a user's name.
  package let source: String

  /// - Parameter address: as a source's: `ack=` and `ack-ref=` say where receipts are, as they do for devices.
  /// - Throws: ``SourceAddressError`` if the address or a setting cannot be used.
  package init(_ address: SourceAddress, context: BackendContext) throws {
    let state = try GitAddress(address)
    let receipts = try state.receiptsAddress.map { try GitAddress(try SourceAddress($0)) } ?? state
    repository = try GitBackend.repository(receipts, context, for: "receipts")
    shared = state.receiptsReference
    source = receipts.source
  }

  /// Whether an address names a repository.
  package static func serves(_ address: SourceAddress) -> Bool { GitAddress.Scheme(rawValue: address.scheme) != nil }

  /// Reads every receipt.
  ///
  /// - Parameter limit: the bytes that one file may have.
  /// - Throws: ``BackendError``; `CancellationError`.
  package func read(limit: Int) async throws -> Found {
    let references = try await repository.references(shared.map { .names([$0]) } ?? .prefix(ReceiptBranch.prefix))
    var found = Found()
    for (name, target) in references.sorted(by: { $0.key < $1.key }) {
      do {
        let objects = try await repository.objects(of: target, after: nil, gate: nil, limits: Limits())
        let files = try await objects.use { store in
          let commit = try store.peel(target).commit
          guard let folder = try store.entry(at: DropLayout.acknowledgements, below: commit.tree) else {
            return [String: [UInt8]]()
          }
          var files: [String: [UInt8]] = [:]
          for entry in try store.documents(below: folder.id, limits: Limits()) {
            files[entry.path] = try store.file(entry, limit: limit, otherwise: .manifestMalformed)
          }
          return files
        }
        add(files, of: name, to: &found)
      } catch let error as VerificationError {
        found.passedOver.append("\(name): \(error)")
      }
    }
    return found
  }

  /// Who may push to one device's branch must not speak for another one, signed or not.
  private func add(_ files: [String: [UInt8]], of branch: String, to found: inout Found) {
    for (path, bytes) in files.sorted(by: { $0.key < $1.key }) {
      let device = String(path.prefix { $0 != "/" })
      if shared == nil, ReceiptBranch.prefix + ReceiptBranch.branchName(forFolder: device) != branch {
        found.passedOver.append("\(quoted(branch)) has a receipt for another device, \(quoted(path))")
      } else {
        found.files[path] = bytes
      }
    }
  }
}
