import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FoundationEssentials

struct TrustCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trust", abstract: "Changes whose keys devices trust, and shows what a device trusts.",
    subcommands: [TrustPublishCommand.self, TrustShowCommand.self])
}

struct TrustPublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Publishes the next trust update in a drop: who may sign from now on.",
    discussion: """
      The update takes the place of the file that devices were set up with (--trust), or of the update before. It must \
      be signed by keys that may sign trust updates under the one before, and by keys that may under itself: lines with \
      namespaces="desired-state-trust". Devices take it over with the next state: run 'publish' afterwards. For a plain \
      Git tree, DROP is the folder .desired-state at the root of the tree.
      """)

  @Option(help: "The drop: a directory, or a Git repository (with ?ref=BRANCH).") var to: String
  @Option(help: ArgumentHelp("The new allowed_signers file, whole.", valueName: "allowed-signers")) var signers: String
  @Option(help: "How many distinct keys must sign a manifest. (default: as many as before, or 1)") var threshold: Int?
  @Option(help: "How many distinct keys must sign a trust update. (default: as many as before, or 1)")
  var trustThreshold: Int?
  @Option(
    help: ArgumentHelp(
      "Public keys that must not count any more, one a line. (default: those of the update before)", valueName: "file"))
  var revoked: String?
  @Option(
    help: "Sign with this SSH key, by ssh-keygen; a public key if an agent or token has the private one. Repeatable.")
  var key: [String] = []
  @OptionGroup var transport: TransportOptions
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard !key.isEmpty else { throw ValidationError("--key is needed: a trust update counts by its signatures alone.") }
    guard threshold ?? 1 >= 1, trustThreshold ?? 1 >= 1 else { throw ValidationError("a threshold is at least 1.") }
  }

  func run() async throws {
    do {
      let options = TrustPublicationOptions(
        allowedSigners: try text(signers, "--signers"), revoked: try revoked.map { try text($0, "--revoked") },
        threshold: threshold, trustThreshold: trustThreshold)
      let signer = SSHKeygenSigner(keys: key, namespace: TrustUpdate.namespace)
      let published = try await publish(options, signer)
      for missing in published.missing { Output.complain("no device takes it over yet: \(missing)") }
      Output(isJSON: json).write(
        EventLine(event: "trust-published", source: to, version: published.version))
    } catch let error where !(error is ExitCode || error is ValidationError) {
      Output.complain("\(error)")
      throw ExitCode.failure
    }
  }

  private func publish(
    _ options: TrustPublicationOptions, _ signer: SSHKeygenSigner
  ) async throws -> TrustPublication {
    guard GitDropPublisher.serves(to) else {
      return try await DropWriter(path: to).publishTrust(options, signer: signer)
    }
    return try await RepositoryEdit(to: to, transport: transport, key: key[0]).perform { directory in
      let publication = try await DropWriter(path: directory).publishTrust(options, signer: signer)
      return (publication, "Publish trust update \(publication.version)")
    }
  }

  private func text(_ path: String, _ option: String) throws -> String {
    guard let bytes = try Files.read(path, limit: TrustUpdate.maximumSize),
      let text = String(validating: bytes, as: UTF8.self)
    else { throw ValidationError("\(option): \(path) is too long, or not text.") }
    return text
  }
}

struct TrustShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows which trust update a device follows, and whose keys it trusts.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws {
    try await reporting {
      let status = try await StoreStatus.read(store)
      guard let trust = status.trust else {
        return Output.line(
          json
            ? "{\"version\":0}"
            : "trust update 0: the allowed signers that 'follow' is given (--trust); none was taken over")
      }
      if json { return Output.line(try JSON.line(trust)) }
      Output.line(
        printable(
          "trust update \(trust.version), taken over at \(Timestamp.text(trust.at)), "
            + "signed by \(trust.signers.map(\.description).joined(separator: ", "))"))
      Output.line("\(trust.threshold) must sign a manifest, \(trust.trustThreshold) a trust update")
      for line in trust.allowedSigners.split(separator: "\n") { Output.line(printable(line)) }
      for line in trust.revoked.split(separator: "\n") { Output.line("revoked: " + printable(line)) }
    }
  }
}
