import DesiredState
import FoundationEssentials
import GitBackend
import Logging
import Measuring
import SSHSignatures

/// A repository that an operator fills with the git program.
struct Repository {
  let name: String
  var path: String { "\(site.directory)/\(name)" }

  /// How the git program gets to the server by way of the relay.
  static var git: String {
    "env -u GIT_SSL_CAINFO git -c http.sslCAInfo=\(site.authority) -c http.sslCert=\(site.certificate) -c http.sslKey=\(site.key)"
  }
  var url: String { site.url("\(name).git", port: site.relayPort) }

  /// - Parameter count: documents of 2 kB in the first commit.
  init(_ name: String, count: Int) {
    self.name = name
    _ = Measure.shell(
      """
      cd \(site.directory); git init -q --bare -b main \(name).git; git clone -q \(name).git \(name) 2>/dev/null; cd \(name)
      git config user.name ops; git config user.email ops@plant.example
      git config gpg.format ssh; git config user.signingKey \(site.directory)/key; git config commit.gpgSign true
      head -c \(count * 2048) /dev/urandom | split -b 2048 -a 4 - document-
      git checkout -q -b main 2>/dev/null || true; git add .; git commit -q -m first; git push -q origin main
      """)
  }

  /// Changes one document, a minute after the commit before: operators do not commit several times a second.
  func change() {
    _ = Measure.shell(
      """
      cd \(path); head -c 2048 /dev/urandom > document-aaaa
      export GIT_COMMITTER_DATE="$(($(git log -1 --format=%ct) + 60)) +0000"
      git commit -q -a -m change; git push -q origin main
      """)
  }

  /// A backend that looks at it by way of the relay.
  func backend(store: String) throws -> GitBackend {
    try GitBackend(
      SourceAddress("git+\(url)?ref=main"),
      context: BackendContext(
        device: "bench", settings: site.settings, cacheDirectory: "\(site.directory)/\(store)/cache"))
  }

  /// An agent that follows it, with a store of its own.
  func agent(store: String) async throws -> Reconciler {
    Reconciler(
      sources: [FetchOnly(backend: try backend(store: store))],
      store: try await StateStore.open("\(site.directory)/\(store)", keeping: 1),
      configuration: .init(
        policy: .signatures(by: try await AllowedSigners.read(site.trust)), device: "bench",
        // Each of hundreds of updates would be logged.
        logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }),
      apply: { _ in })
  }
}

extension Reconciler {
  /// One look that has to end well.
  func look() async throws {
    guard case .current = try await runOnce() else { fatalError("the look did not end with the published state") }
  }
}

/// A backend without its way back, so that acknowledgements are not measured along.
struct FetchOnly: DesiredStateBackend {
  let backend: GitBackend
  var source: String { backend.source }

  func fetch(_ request: FetchRequest) async throws -> FetchResult { try await backend.fetch(request) }

  func verify(_ state: FetchedState, with verifier: Verifier) async throws -> VerifiedState {
    try await backend.verify(state, with: verifier)
  }
}

/// The questions to a backend in the course of polls, without a store: fetch, verify, read the new documents.
struct Follower {
  let backend: GitBackend
  let verifier: Verifier
  var current: Revision?
  var marker: String?
  var held: Set<Digest> = []

  init(_ backend: GitBackend) async throws {
    self.backend = backend
    verifier = Verifier(
      policy: .signatures(by: try await AllowedSigners.read(site.trust)), device: "bench", now: Date())
  }

  mutating func look() async throws {
    let held = held
    let result = try await backend.fetch(
      FetchRequest(current: current, marker: marker, held: HeldDocuments { held.contains($0) }))
    marker = result.marker
    guard case .changed(let state) = result.outcome else { return }
    let verified = try await backend.verify(state, with: verifier)
    let missing = verified.manifest.documents.filter { !held.contains($0.digest) }
    for document in verified.readingOrder(of: missing) {
      for try await _ in try await verified.open(document) {}
    }
    self.held = Set(verified.manifest.documents.map(\.digest))
    current = verified.revision
  }
}
