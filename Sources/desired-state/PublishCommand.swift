import ArgumentParser
import DesiredState
import FileBackend
import FoundationEssentials

struct PublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Publishes a directory of documents as the next version of a signed drop.",
    discussion: """
      Each regular file becomes a document whose id is its relative path; names that begin with a dot are left out. \
      An empty directory publishes an explicitly empty state. DROP is a directory, or a file if it ends in .tar.gz. \
      It may be killed at any moment: readers find the state before or the new one.
      """)

  @Argument(help: "The directory of documents.") var documentsDirectory: String
  @Option(help: "The drop: a directory, or a .tar.gz file that holds the whole of one.") var to: String
  @Option(help: "The version. (default: one more than what is published, or 1)") var version: UInt64?
  @Option(
    help: "Sign with this SSH key, by ssh-keygen; a public key if an agent or token has the private one. Repeatable.")
  var key: [String] = []
  @Option(help: "Only this device may adopt it.") var device: String?
  @Option(help: "After this time it must not be adopted any more: 12h, 30d.") var expires: TimeSpan?
  @Flag(help: "Add one archive of all documents, which the manifest names.") var bundle = false
  @Flag(help: "Remove documents and signatures that only older manifests name.") var prune = false
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard version != 0 else { throw ValidationError("--version must be at least 1.") }
  }

  func run() async throws {
    do {
      let writer = DropWriter(path: to)
      let now = Date()
      let published = try await writer.publish(
        try await writer.documents(in: documentsDirectory),
        options: PublicationOptions(
          version: version, device: device, issued: now,
          expires: expires.map { now.addingTimeInterval($0.duration.timeInterval) },
          bundle: bundle, prune: prune),
        signer: key.isEmpty ? nil : SSHKeygenSigner(keys: key))
      if !published.isSigned {
        Output.complain("the drop is not signed; devices adopt it only with --accept-unsigned (sign with --key)")
      }
      Output(isJSON: json).write(
        EventLine(
          event: "published", source: to, revision: published.revision, version: published.manifest.version,
          documents: published.manifest.documents.count))
    } catch let error where !(error is ExitCode || error is ValidationError) {
      Output.complain("\(error)")
      throw ExitCode.failure
    }
  }
}
