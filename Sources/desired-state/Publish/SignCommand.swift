import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FoundationEssentials
import GitBackend

struct SignCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sign", abstract: "Adds a signature to the state that is published in a drop.",
    discussion: """
      For a threshold of people: one publishes with a key, the others sign with theirs, whenever they have looked at it. \
      Devices that want more signatures than there are refuse the state as 'threshold-not-met', and look again. Every document is \
      read and digested first. 'desired-state verify DROP' and 'desired-state diff DROP --store DIR' show what is signed.
      """)

  @Argument(help: "The drop: a directory, or a Git repository (with ?ref=BRANCH).") var drop: String
  @Option(
    help: "Sign with this SSH key, by ssh-keygen; a public key if an agent or token has the private one. Repeatable.")
  var key: [String] = []
  @Option(
    help: ArgumentHelp(
      "Sign only a state that one of these keys has signed already.", valueName: "allowed-signers"))
  var trust: String?
  @OptionGroup var transport: TransportOptions
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard !key.isEmpty else { throw ValidationError("--key is needed.") }
    if let advice = GitBackend.advice(on: drop) { throw ValidationError(advice + ".") }
  }

  func run() async throws {
    do {
      let signers = try await trust.asyncMap { try await KeyFiles.signers($0) }
      let signer = SSHKeygenSigner(keys: key)
      let signed: SignedPublication
      if GitDropPublisher.serves(drop) {
        signed = try await RepositoryEdit(to: drop, transport: transport, key: key.first).perform { directory in
          let signed = try await DropWriter(path: directory).sign(
            with: signer, trusting: signers, readingDocuments: false)
          return (signed, "Sign version \(signed.manifest.version ?? 0)")
        }
      } else {
        signed = try await DropWriter(path: drop).sign(with: signer, trusting: signers)
      }
      var line = EventLine(
        event: signed.isChanged ? "signed" : "unchanged", source: drop, revision: signed.revision,
        version: signed.manifest.version, documents: signed.manifest.documents.count,
        signers: signed.keys.map { Signer(principals: [], key: $0) })
      if !signed.isChanged { line.reason = "the key has signed it already" }
      Output(isJSON: json).write(line)
    } catch let error where !(error is ExitCode || error is ValidationError) {
      Output.complain("\(error)")
      throw ExitCode.failure
    }
  }
}

extension Optional {
  fileprivate func asyncMap<Value>(_ transform: (Wrapped) async throws -> Value) async rethrows -> Value? {
    guard let self else { return nil }
    return try await transform(self)
  }
}
