public import ArgumentParser
public import DesiredState
import FoundationEssentials

struct AcknowledgeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "acknowledge", abstract: "Tells the source how far a document has come.",
    discussion: """
      The acknowledgement is put into the store's outbox first, and works beside a running 'follow', which delivers it \
      later if the source cannot be reached now (exit status 4).
      """)

  @Argument(help: "Where desired state is published.") var source: String
  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Option(help: "The id of the document.") var document: String
  @Option(help: "One of pending, installing, installed, failed, removing, removed.") var state: DocumentStatus.State
  @Option(help: "A code for what failed.") var errorCode: String?
  @Option(help: "What failed, in words.") var errorMessage: String?
  @Option(help: "A component and its state: web=installed. Repeatable, one for each.")
  var component: [ComponentState] = []
  @Option(help: "The device that hosts it, if it is one behind this one: gateway/press.") var hostedBy: String?
  @Option(help: "The version of the manifest that the work was done under. (default: that of the applied state)")
  var manifestVersion: UInt64?
  @OptionGroup var transport: TransportOptions
  @OptionGroup var receipts: ReceiptOptions
  @OptionGroup var agent: AgentOptions
  @Flag(help: "Print one JSON object a line.") var json = false

  func validate() throws {
    guard (errorCode == nil && errorMessage == nil) || state == .failed else {
      throw ValidationError("--error-code and --error-message go with --state failed.")
    }
  }

  func run() async throws {
    let output = Output(isJSON: json)
    let backend = try agent.backends(for: [source], over: transport, receipts: receipts, store: store)[0]
    try await reporting {
      let status = try await StoreStatus.read(store)
      // The work was done under the state that is applied, or is being applied now: an adopted one that is held back is not
      // that yet.
      let isAtWork = status.attempt?.revision == status.adopted?.revision && status.attempt != nil
      let (revision, version) =
        isAtWork || status.applied == nil
        ? (status.adopted?.revision, status.adopted?.version) : (status.applied?.revision, status.applied?.version)
      let failure =
        state != .failed
        ? nil
        : DocumentStatus.Failure(
          code: errorCode ?? "failed", message: errorMessage ?? "")
      let acknowledgement = Acknowledgement(
        device: agent.deviceName, revision: revision, adoptedManifestVersion: manifestVersion ?? version, time: Date(),
        outcome: .document(
          DocumentStatus(
            documentID: document, device: hostedBy, state: state, error: failure,
            components: component.map { $0.status(failure) })))
      let outbox = Outbox(ofStore: store)
      try await outbox.put(
        [acknowledgement], keepingChanges: backend.capabilities.contains(.acknowledgesEachChange))
      let result = try await outbox.deliver(to: [backend], within: agent.timeout.duration)
      for (acknowledgement, source) in result.delivered {
        output.write(.acknowledged(acknowledgement, source: source))
      }
      for refused in result.refused {
        output.write(.refused(refused))
        if refused.acknowledgement.id == acknowledgement.id { throw ExitCode.rejected }
      }
      guard result.delivered.contains(where: { $0.0.id == acknowledgement.id }) else {
        let error = result.failure as? BackendError
        output.write(
          .unavailable(
            error ?? BackendError(.unsupported, "\(backend.source) takes no acknowledgements; it waits in the outbox"),
            source: backend.source))
        throw ExitCode.unavailable
      }
    }
  }
}

extension DocumentStatus.State: ExpressibleByArgument {}

/// `web=installed`
struct ComponentState: ExpressibleByArgument {
  var name: String
  var state: DocumentStatus.State

  init?(argument: String) {
    guard let equals = argument.lastIndex(of: "="), equals != argument.startIndex,
      let state = DocumentStatus.State(rawValue: String(argument[argument.index(after: equals)...]))
    else { return nil }
    name = String(argument[..<equals])
    self.state = state
  }

  /// The error is that of the components that failed.
  func status(_ error: DocumentStatus.Failure?) -> DocumentStatus.Component {
    DocumentStatus.Component(name: name, state: state, error: state == .failed ? error : nil)
  }
}
