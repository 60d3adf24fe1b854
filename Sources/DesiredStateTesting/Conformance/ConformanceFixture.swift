public import DesiredState
import FoundationEssentials

/// A source under the kit's control, and how a backend for it is made: what a vendor writes to run the kit.
///
/// A fixture is made for each law and starts reachable, with nothing published. What must be written has no default.
/// What a source may really not be able to do has one, which throws ``NotPossible``: the kit says then, visibly, what it
/// could not try. Write as many of them as the source allows.
public protocol ConformanceFixture: Sendable {
  /// Makes a backend, anew at every call, for the same source with the same configuration.
  func makeBackend() async throws -> any DesiredStateBackend

  /// Publishes a state, as a whole, in place of the one before; every reader sees it when this returns.
  ///
  /// A source that holds drops puts the publication's ``TestPublication/files`` in place, in their order. One that makes its
  /// own manifests takes the version and the documents. Throws ``NotPossible`` for a state the source cannot express.
  func publish(_ publication: TestPublication) async throws

  /// Makes the source publish nothing, while it can be reached; also called when nothing is published yet.
  func publishNothing() async throws

  /// Takes the source away: the server stops, the line is cut, the disk is unplugged.
  func makeUnreachable() async throws

  /// Brings the source back as it was.
  func makeReachable() async throws

  /// Changes a byte of the publication; ``TestPublication/corrupted(_:)`` does it to bytes at hand.
  func corrupt(_ part: TestPublication.Part) async throws

  /// Every secret the backend's configuration holds (a token, a password), so that the kit can look for it where it must
  /// not be. Empty if it holds none.
  var secrets: [String] { get }

  // MARK: - With a default

  /// What makes a state of this source trustworthy. By default the signature of ``Conformance/signer``, by which every
  /// publication is signed.
  var trust: TrustPolicy { get }

  /// Whether this source takes acknowledgements from a backend that declares that it can deliver them. By default it does;
  /// where it does not, the backend must throw.
  var takesAcknowledgements: Bool { get }

  /// With which codes a change in that part may be refused. By default what a drop's verification answers.
  func refusals(ofCorrupted part: TestPublication.Part) -> Set<VerificationError.Code>

  /// Publishes a state while a part of it is missing, as a copy that still runs leaves it. Never called for the manifest.
  /// By default not possible.
  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws

  /// Puts the published bytes of a part back where ``corrupt(_:)`` changed them, with the entity tag, size and modification
  /// time of the corrupted ones: a cache that is repaired in place shows nothing new. By default not possible.
  func repair(_ part: TestPublication.Part) async throws

  /// How long the backend may go on giving corrupted bytes after they are repaired. By default not at all: the next read
  /// gives the right ones.
  var repairDelay: Duration { get }

  /// Makes the source stop answering, without saying so: a reader waits. By default not possible.
  func stall() async throws

  /// Returns when an operation waits at the stalled source; by default after a tenth of a second.
  func waitUntilStalled() async throws

  /// Ends ``stall()``. By default nothing.
  func resume() async throws

  /// Makes a part of the publication so long that it has no end in practice: bytes after bytes. By default not
  /// possible.
  func makeEndless(_ part: TestPublication.Part) async throws

  /// Makes the source ask, with its next answer, not to be polled again for that long. By default not possible.
  func askForPatience(_ duration: Duration) async throws

  /// The traffic of the source since the fixture was made. By default the source cannot tell.
  func traffic() async throws -> SourceTraffic

  /// The acknowledgements the source holds, oldest first; of a source that keeps the newest of each subject, those. By
  /// default not possible.
  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement]

  /// Puts everything away. Called once, after the law was tried, whatever came of it. By default nothing.
  func tearDown() async
}

extension ConformanceFixture {
  public var trust: TrustPolicy { TestSigner.policy([Conformance.signer]) }

  public var takesAcknowledgements: Bool { true }

  public func refusals(ofCorrupted part: TestPublication.Part) -> Set<VerificationError.Code> {
    switch part {
    // Signatures are found by the manifest's digest: for a changed manifest there is none.
    case .manifest: [.signatureMissing, .signatureInvalid]
    // A changed bit may hit the signature, the key that is named in it, or the armor.
    case .signatures: [.signatureInvalid, .signerUntrusted]
    case .document: [.digestMismatch]
    }
  }

  public func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    throw NotPossible("the fixture cannot publish in part")
  }

  public func repair(_ part: TestPublication.Part) async throws {
    throw NotPossible("the fixture cannot repair its source in place")
  }

  public var repairDelay: Duration { .zero }

  public func stall() async throws { throw NotPossible("the fixture cannot stall its source") }

  public func waitUntilStalled() async throws { try await Task.sleep(for: .milliseconds(100)) }

  public func resume() async throws {}

  public func makeEndless(_ part: TestPublication.Part) async throws {
    throw NotPossible("the fixture cannot make \(part) endless")
  }

  public func askForPatience(_ duration: Duration) async throws {
    throw NotPossible("the fixture's source cannot ask to be left alone for a time")
  }

  public func traffic() async throws -> SourceTraffic { SourceTraffic() }

  public func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    throw NotPossible("the fixture cannot read acknowledgements back")
  }

  public func tearDown() async {}
}

/// A fixture cannot do what the kit asks of it; the kit then says what it could not try, and why.
public struct NotPossible: Error, Sendable, CustomStringConvertible {
  /// Why not.
  public let description: String

  /// What cannot be done, for the reason given.
  public init(_ reason: String) { description = reason }
}

/// How much was read from a source; nil where the source cannot tell.
public struct SourceTraffic: Sendable, Equatable {
  /// How often a manifest was read.
  public var manifestReads: Int?
  /// How often each document was read, by digest.
  public var documentReads: [Digest: Int]?
  /// How many bytes left the source.
  public var bytes: UInt64?

  /// The known parts of the traffic; nil for the rest.
  public init(manifestReads: Int? = nil, documentReads: [Digest: Int]? = nil, bytes: UInt64? = nil) {
    self.manifestReads = manifestReads
    self.documentReads = documentReads
    self.bytes = bytes
  }
}
