import ArgumentParser
import DesiredState
import DesiredStateSupport
import FileBackend
import FoundationEssentials
import Glibc

/// One poll of a source without a store: what `fetch` and `verify` share.
struct SingleFetch {
  let backend: any DesiredStateBackend
  let output: Output
  let trust: TrustOptions
  let agent: AgentOptions
  let limits: Limits

  /// Fetches and verifies, hands the state on, and turns what goes wrong into an event and an exit status.
  func run(then use: (VerifiedState) async throws -> Void) async throws {
    let verifier = Verifier(
      policy: try await trust.policy(), device: agent.deviceName, now: Date(), limits: limits)
    var revision: Revision?
    var origin: Origin?
    do {
      let result = try await backend.fetch(
        FetchRequest(limits: limits, timeout: agent.timeout.duration, verifier: verifier))
      switch result.outcome {
      case .absent(let absence):
        output.write(.absent(absence, source: backend.source))
        throw ExitCode.absent
      case .unchanged:
        throw BackendError(.protocolViolation, "the source says 'unchanged' to a device that asked for everything")
      case .changed(let state):
        (revision, origin) = (state.revision, state.origin)
        output.write(EventLine(event: "fetched", source: backend.source, revision: revision, origin: origin))
        // Without a store there is nothing to go on from: every poll begins with the file that was given.
        let trusting = try await verifier.following(state)
        let verified = try await backend.verify(state, with: trusting)
        try await use(verified)
        output.write(
          EventLine(
            event: "verified", source: backend.source, revision: revision, version: verified.manifest.version,
            origin: origin, documents: verified.manifest.documents.count, signers: verified.signers))
      }
    } catch let error as VerificationError {
      output.write(.rejected(error, source: backend.source, revision: revision, origin: origin))
      throw ExitCode.rejected
    } catch let error as BackendError {
      output.write(.unavailable(error, source: backend.source))
      throw ExitCode.unavailable
    }
  }
}

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Checks a drop or bundle offline: its signatures, its manifest, every document.")

  @Argument(help: "A drop directory or a .tar.gz of one.") var path: String
  @OptionGroup var trust: TrustOptions
  @OptionGroup var limits: LimitOptions
  @OptionGroup var agent: AgentOptions
  @Flag(help: "Print one JSON object a line.") var json = false

  func run() async throws {
    try await interruptible("nothing was changed, and nothing is known of the documents that were not read") {
      try await check()
    }
  }

  private func check() async throws {
    try await reporting {
      let fetch = SingleFetch(
        backend: FileBackend(path: try file()), output: Output(isJSON: json), trust: trust, agent: agent,
        limits: limits.limits)
      try await fetch.run { state in
        let progress = Progress("checking", of: state.manifest.documents.advisorySize)
        defer { progress.end() }
        for document in state.readingOrder(of: state.manifest.documents) {
          for try await chunk in try await state.open(document) { progress.add(chunk.count) }
        }
      }
    }
  }

  private func file() throws -> String {
    do {
      let address = try SourceAddress(path)
      guard address.scheme == "file" else {
        throw SourceAddressError("verify works offline, on a path; 'fetch' looks at \(address.scheme):")
      }
      return try address.filePath()
    } catch let error as SourceAddressError {
      throw ValidationError(Flags.added(to: error.description))
    }
  }
}

struct FetchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch", abstract: "Polls a source once, without a store, and verifies its state.",
    discussion: "Without a store nothing is known of earlier versions: a rollback is not noticed.")

  @Argument(help: "Where desired state is published.") var source: String
  @Option(help: "Write each document to a file in this directory, named by its id.") var output: String?
  @OptionGroup var trust: TrustOptions
  @OptionGroup var transport: TransportOptions
  @OptionGroup var limits: LimitOptions
  @OptionGroup var agent: AgentOptions
  @Flag(help: "Print one JSON object a line.") var json = false

  func run() async throws {
    let whatStands = output.map { "each document below \($0) is whole; the others are not there" } ?? "nothing was kept"
    try await interruptible(whatStands) { try await fetch() }
  }

  private func fetch() async throws {
    try await reporting {
      let fetch = SingleFetch(
        backend: try agent.backends(for: [source], over: transport)[0], output: Output(isJSON: json), trust: trust,
        agent: agent, limits: limits.limits)
      try await fetch.run { state in
        guard let output else { return }
        let progress = Progress("fetching", of: state.manifest.documents.advisorySize)
        defer { progress.end() }
        for document in state.readingOrder(of: state.manifest.documents) {
          try await write(document, of: state, below: output, progress)
        }
      }
    }
  }

  /// Writes one document under another name and renames it when its digest has proved right.
  private func write(
    _ document: DocumentReference, of state: VerifiedState, below directory: String, _ progress: Progress
  ) async throws {
    let path = Files.join(directory, document.id)
    let temporary = Files.temporaryName(for: path)
    let worker = Worker("desired-state.fetch")
    do {
      try await worker.run {
        try Files.createDirectories(Files.parent(path))
        try Files.replace(temporary, with: [], isDurable: false)
      }
      for try await chunk in try await state.open(document) {
        try await worker.run { try OpenFile(temporary, O_WRONLY | O_APPEND).write(chunk) }
        progress.add(chunk.count)
      }
      try await worker.run { try Files.rename(temporary, to: path) }
    } catch {
      try? await worker.run { try Files.remove(temporary) }
      throw error
    }
  }
}
