import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FoundationEssentials
import SSHSignatures

/// What `publish` does in one directory: a drop, or one for each device.
struct PublishWork: Sendable {
  struct Result: Sendable {
    /// Where the drop is, below the directory.
    var folder: String
    var manifest: StateManifest
    var difference = StateDifference(from: [], to: [])
    /// Nil for a plan: a signature may still be added to the bytes, and time goes on.
    var revision: Revision?
    var isSigned = false
    var isUnchanged = false
    var warnings: [String] = []
  }

  let command: PublishCommand
  let targets: [DeviceList.Target]
  /// Whose signature a state must have that is published again.
  let signers: AllowedSigners?

  func commitMessage(_ results: [Result]) -> String {
    let changed = results.filter { !$0.isUnchanged }
    guard changed.count > 1 else { return "Publish version \(changed.first?.manifest.version ?? 0)" }
    return "Publish \(changed.count) drops\n\n"
      + changed.map { "\($0.folder): version \($0.manifest.version ?? 0)" }.joined(separator: "\n")
  }

  /// - Parameter readingDocuments: false in a directory that stands for a repository's.
  func perform(in root: String, readingDocuments: Bool = true) async throws -> [Result] {
    let shared = SharedDocuments()
    var results: [Result] = []
    for target in targets {
      results.append(try await perform(target, in: root, shared, readingDocuments))
    }
    return results
  }

  private func perform(
    _ target: DeviceList.Target, in root: String, _ shared: SharedDocuments, _ readingDocuments: Bool
  ) async throws -> Result {
    let folder = command.devices == nil ? "" : Receipt.fileName(for: target.device ?? "")
    let writer = DropWriter(
      path: folder.isEmpty ? root : Files.join(root, folder), limits: command.limits.limits)
    let now = Date()
    var options = PublicationOptions(
      version: command.version, device: target.device, issued: now,
      expires: command.expires.map { now.addingTimeInterval($0.duration.timeInterval) },
      bundle: command.bundle, prune: command.prune, trustUpdates: command.trustUpdates, message: command.message,
      sharedDocuments: command.devices == nil ? nil : shared)
    let signer = command.key.isEmpty ? nil : SSHKeygenSigner(keys: command.key)
    if command.isAgain {
      if command.dryRun {
        return Result(
          folder,
          try await writer.planAgain(
            version: command.from, trusting: signers, options: options, readingDocuments: readingDocuments))
      }
      return Result(
        folder,
        try await writer.republish(
          version: command.from, trusting: signers, options: options, readingDocuments: readingDocuments, signer: signer
        ))
    }
    let documents = try await documents(of: target, writer)
    if command.devices != nil, command.version == nil, !command.bundle {
      let plan = try await writer.plan(documents, options: options)
      let isAsSigned = signer == nil ? true : try await writer.isSigned()
      if plan.isUnchanged, isAsSigned {
        var result = Result(folder, plan)
        result.isUnchanged = true
        result.manifest = plan.before ?? plan.manifest
        return result
      }
      if command.dryRun { return Result(folder, plan) }
    }
    if command.dryRun { return Result(folder, try await writer.plan(documents, options: options)) }
    let sizes = documents.map { UInt64(max(FileStatus(at: $0.path)?.size ?? 0, 0)) }
    let progress = Progress("publishing", of: sizes.reduce(0) { $0 &+ ($1 > Files.chunkSize ? 2 &* $1 : $1) })
    defer { progress.end() }
    options.progress = { progress.add($0) }
    return Result(folder, try await writer.publish(documents, options: options, signer: signer))
  }

  private func documents(of target: DeviceList.Target, _ writer: DropWriter) async throws -> [DocumentFile] {
    guard let directory = command.documentsDirectory else { return [] }
    guard !target.folders.isEmpty else { return try await writer.documents(in: directory) }
    var documents: [String: DocumentFile] = [:]
    for folder in target.folders {
      for document in try await writer.documents(in: Files.join(directory, folder)) {
        documents[document.id] = document
      }
    }
    return documents.values.sorted { $0.id < $1.id }
  }
}

extension PublishWork.Result {
  init(_ folder: String, _ plan: PublicationPlan) {
    self.init(folder: folder, manifest: plan.manifest, difference: plan.difference, warnings: plan.warnings)
  }

  init(_ folder: String, _ publication: Publication) {
    self.init(
      folder: folder, manifest: publication.manifest, revision: publication.revision, isSigned: publication.isSigned,
      warnings: publication.warnings)
  }
}
