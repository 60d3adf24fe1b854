import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FileBackend
import FoundationEssentials
import GitBackend
import Synchronization

struct PublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Publishes a directory of documents as the next version of a signed drop.",
    discussion: """
      Each regular file becomes a document whose id is its relative path; names that begin with a dot are left out. \
      An empty directory publishes an explicitly empty state. DROP is a directory, a file if it ends in .tar.gz, or a \
      branch of a Git repository: git+https://host/path?ref=main&path=DIRECTORY, on which it is committed and pushed. \
      It may be killed at any moment: readers find the state before or the new one.
      """)

  @Argument(help: "The directory of documents.") var documentsDirectory: String
  @Option(
    help: "The drop: a directory, a .tar.gz file that holds the whole of one, or a Git repository (with ?ref=BRANCH).")
  var to: String
  @Option(help: "The version. (default: one more than the published one, or 1)") var version: UInt64?
  @Option(
    help: "Sign with this SSH key, by ssh-keygen; a public key if an agent or token has the private one. Repeatable.")
  var key: [String] = []
  @Option(help: "Only this device may adopt it.") var device: String?
  @Option(help: "After this time it must not be adopted any more: 12h, 30d.") var expires: TimeSpan?
  @Flag(help: "Add one archive of all documents, which the manifest names.") var bundle = false
  @Flag(help: "Remove documents and signatures that only older manifests name.") var prune = false
  @Option(
    help: ArgumentHelp(
      "Take along the trust updates of this drop, into a .tar.gz. A drop directory has its own.", valueName: "drop"))
  var trustUpdates: String?
  @OptionGroup var transport: TransportOptions
  @OptionGroup var limits: LimitOptions
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard version != 0 else { throw ValidationError("--version must be at least 1.") }
    guard trustUpdates == nil || DropLayout.isBundle(to) else {
      throw ValidationError(
        "--trust-updates goes with --to FILE.tar.gz; a drop directory has trust updates of its own.")
    }
    if let advice = GitBackend.advice(on: to) { throw ValidationError(advice + ".") }
  }

  func run() async throws {
    do {
      let published = GitDropPublisher.serves(to) ? try await publishInRepository() : try await publish(in: to)
      if !published.isSigned {
        Output.complain("the drop is not signed; devices adopt it only with --accept-unsigned (sign with --key)")
      }
      for warning in published.warnings { Output.complain("\(warning) (--expires, --device)") }
      Output(isJSON: json).write(
        EventLine(
          event: "published", source: to, revision: published.revision, version: published.manifest.version,
          documents: published.manifest.documents.count))
    } catch is CancellationError {
      Output.complain("interrupted; check the published state, and publish again if it is not this one")
      throw ExitCode.failure
    } catch let error as PublicationError where error.code == .unreadable {
      Output.complain("\(error) (--version)")
      throw ExitCode.failure
    } catch let error where !(error is ExitCode || error is ValidationError) {
      Output.complain("\(error)")
      throw ExitCode.failure
    }
  }

  private func publish(in directory: String) async throws -> Publication {
    let writer = DropWriter(path: directory, limits: limits.limits)
    let now = Date()
    return try await writer.publish(
      try await writer.documents(in: documentsDirectory),
      options: PublicationOptions(
        version: version, device: device, issued: now,
        expires: expires.map { now.addingTimeInterval($0.duration.timeInterval) },
        bundle: bundle, prune: prune, trustUpdates: trustUpdates),
      signer: key.isEmpty ? nil : SSHKeygenSigner(keys: key))
  }

  /// The drop is written beside the repository, committed, and pushed; the commit is signed with the first of the keys.
  private func publishInRepository() async throws -> Publication {
    let publisher: GitDropPublisher
    do {
      publisher = try GitDropPublisher(
        try SourceAddress(to), context: BackendContext(device: "publisher", settings: transport.settings))
    } catch let error as SourceAddressError {
      throw ValidationError(Flags.added(to: error.description))
    }
    let sign = key.first.map { key in
      let signer = SSHKeygenSigner(keys: [key], namespace: "git")
      return { @Sendable (content: [UInt8]) in try await signer.sign(content) }
    }
    let published = Mutex<Publication?>(nil)
    try await endingOnSignals {
      try await publisher.publish(at: Date(), sign: sign) { directory in
        let publication = try await publish(in: directory)
        published.withLock { $0 = publication }
        return "Publish version \(publication.manifest.version ?? 0)"
      }
    }
    guard let publication = published.withLock({ $0 }) else {
      throw PublicationError(.options, "nothing was published")
    }
    return publication
  }
}
