import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FileBackend
import FoundationEssentials
import GitBackend

struct PublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Publishes a directory of documents as the next version of a signed drop.",
    usage: """
      desired-state publish DOCUMENTS-DIRECTORY --to DROP [--key KEY] …
             desired-state publish DOCUMENTS-DIRECTORY --to DROPS --devices FILE [--key KEY] …
             desired-state publish (--renew | --from VERSION) --to DROP [--key KEY] …
      """,
    discussion: """
      Each regular file becomes a document whose id is its relative path; names that begin with a dot are left out. \
      An empty directory publishes an explicitly empty state. DROP is a directory, a file if it ends in .tar.gz, or a \
      branch of a Git repository: git+https://host/path?ref=main&path=DIRECTORY, on which it is committed and pushed. \
      It may be killed at any moment: readers find the state before or the new one.

      --renew publishes the documents that are published now, --from those of an earlier version (one of the last 20, as long \
      as none was pruned since), as the next version: for the same device and for as long as before, where nothing else is \
      said. A key of --key must have signed them, or one of --trust: what somebody else put there is not signed.

      --devices publishes several drops from one tree: a line of FILE names a device, and the folders below \
      DOCUMENTS-DIRECTORY whose documents it gets (of equal ids the last one's; without a folder, the whole tree). Its drop is \
      DROPS/DEVICE. Documents that several have are one file. A drop in which nothing changes is left as it is.
      """)

  @Argument(help: "The directory of documents.") var documentsDirectory: String?
  @Option(
    help: "The drop: a directory, a .tar.gz file that holds the whole of one, or a Git repository (with ?ref=BRANCH).")
  var to: String
  @Option(help: "The version. (default: one more than the published one, or 1)") var version: UInt64?
  @Option(
    help: "Sign with this SSH key, by ssh-keygen; a public key if an agent or token has the private one. Repeatable.")
  var key: [String] = []
  @Option(help: "Only this device may adopt it.") var device: String?
  @Option(help: ArgumentHelp("Publish a drop for each device of this file.", valueName: "file")) var devices: String?
  @Option(help: "After this time it must not be adopted any more: 12h, 30d.") var expires: TimeSpan?
  @Option(
    help: ArgumentHelp(
      "Why, in words for operators; signed with the rest, and the message of a commit.", valueName: "text"))
  var message: String?
  @Flag(help: "Publish what is published now as a new version: a new time, and a new expiry.") var renew = false
  @Option(help: ArgumentHelp("Publish this earlier version as a new one.", valueName: "version")) var from: UInt64?
  @Option(
    help: ArgumentHelp(
      "Whose signature the state of --renew and --from must have. (default: that of a key of --key)",
      valueName: "allowed-signers"))
  var trust: String?
  @Flag(help: "Say what would change against what is published, and publish nothing.") var dryRun = false
  @Flag(help: "Add one archive of all documents, which the manifest names.") var bundle = false
  @Flag(help: "Remove documents and signatures that only older manifests name, and those manifests.") var prune = false
  @Option(
    help: ArgumentHelp(
      "Take along the trust updates of this drop, into a .tar.gz. A drop directory has its own.", valueName: "drop"))
  var trustUpdates: String?
  @OptionGroup var transport: TransportOptions
  @OptionGroup var limits: LimitOptions
  @Flag(help: "Print one JSON object, or one a line.") var json = false

  var isAgain: Bool { renew || from != nil }

  func validate() throws {
    guard version != 0 else { throw ValidationError("--version must be at least 1.") }
    guard trustUpdates == nil || DropLayout.isBundle(to) else {
      throw ValidationError(
        "--trust-updates goes with --to FILE.tar.gz; a drop directory has trust updates of its own.")
    }
    guard !renew || from == nil else { throw ValidationError("choose one of --renew and --from.") }
    if isAgain {
      guard documentsDirectory == nil else {
        throw ValidationError(
          "\(renew ? "--renew" : "--from") publishes documents of the drop, and not those of a directory.")
      }
      guard !bundle else { throw ValidationError("--bundle goes with a directory of documents.") }
    } else {
      guard documentsDirectory != nil else {
        throw ValidationError("say what to publish: a directory of documents, --renew or --from VERSION.")
      }
      guard trust == nil else { throw ValidationError("--trust goes with --renew or --from.") }
    }
    guard device == nil || devices == nil else { throw ValidationError("choose one of --device and --devices.") }
    guard devices == nil || !DropLayout.isBundle(to) else {
      throw ValidationError("--devices goes with a directory of drops, or a Git repository.")
    }
    if let advice = GitBackend.advice(on: to) { throw ValidationError(advice + ".") }
  }

  func run() async throws {
    do {
      let targets = try devices.map { try DeviceList(reading: $0).targets } ?? [.init(device: device)]
      let work = PublishWork(command: self, targets: targets, signers: try await signers())
      let results =
        GitDropPublisher.serves(to)
        ? try await inRepository(work) : try await endingOnSignals { try await work.perform(in: to) }
      tell(results)
    } catch is CancellationError {
      Output.complain(
        GitDropPublisher.serves(to)
          ? "interrupted; check the published state, and publish again if it is not this one"
          : "interrupted; what was published before stands, and nothing is half published. Publish again.")
      throw ExitCode.failure
    } catch let error as PublicationError where error.code == .unreadable {
      Output.complain("\(error) (--version)")
      throw ExitCode.failure
    } catch let error where !(error is ExitCode || error is ValidationError) {
      Output.complain("\(error)\((error as? PublicationError)?.code == .untrusted ? " (--trust)" : "")")
      throw ExitCode.failure
    }
  }

  private func tell(_ results: [PublishWork.Result]) {
    if !dryRun, results.contains(where: { !$0.isSigned && !$0.isUnchanged }) {
      Output.complain("the drop is not signed; devices adopt it only with --accept-unsigned (sign with --key)")
    }
    for result in results {
      for warning in result.warnings { Output.complain("\(warning) (--expires, --device)") }
      if dryRun { DiffCommand.show(result.difference, isJSON: json, isSilentIfNone: true) }
      let manifest = result.manifest
      Output(isJSON: json).write(
        EventLine(
          event: result.isUnchanged ? "unchanged" : dryRun ? "planned" : "published",
          source: result.folder.isEmpty || GitDropPublisher.serves(to) ? to : Files.join(to, result.folder),
          revision: result.revision,
          version: manifest.version, reason: result.isUnchanged ? nil : manifest.message,
          documents: manifest.documents.count, device: devices == nil ? nil : manifest.device))
    }
  }

  /// Whose signature a state must have that is signed again; nil where states are not signed.
  private func signers() async throws -> AllowedSigners? {
    guard isAgain else { return nil }
    if let trust { return try await KeyFiles.signers(trust) }
    guard !key.isEmpty else { return nil }
    let lines = try await SSHKeygenSigner(keys: key).publicKeys().map {
      "publisher namespaces=\"desired-state\" \($0)\n"
    }
    do {
      return try AllowedSigners(parsing: lines.joined())
    } catch {
      throw PublicationError(.options, "the public key of \(key.joined(separator: ", ")) cannot be read: \(error)")
    }
  }

  /// The drop is written beside the repository, committed, and pushed; the commit is signed with the first of the keys.
  private func inRepository(_ work: PublishWork) async throws -> [PublishWork.Result] {
    try await RepositoryEdit(to: to, transport: transport, key: key.first).perform(
      several: devices != nil, isDryRun: dryRun
    ) { directory in
      let results = try await work.perform(in: directory, readingDocuments: false)
      return (results, message ?? work.commitMessage(results))
    }
  }
}
