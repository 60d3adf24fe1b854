public import DesiredState
public import FoundationEssentials

/// What a test tells the source to do.
extension MockBackend {
  // MARK: - Publishing

  /// Publishes a state: a signed manifest that names these documents.
  ///
  /// - Parameters:
  ///   - documents: their text by id.
  ///   - version: the version; one above the last if nil.
  ///   - device: the only device it is for.
  ///   - issued: when it was issued.
  ///   - expires: when it must no longer be adopted.
  /// - Returns: its revision.
  @discardableResult
  public func publish(
    _ documents: [String: String], version: UInt64? = nil, device: String? = nil, issued: Date? = nil,
    expires: Date? = nil
  ) -> Revision {
    publish(
      documents: documents.mapValues { Array($0.utf8) }, version: version, device: device, issued: issued,
      expires: expires)
  }

  /// Publishes a state whose documents are bytes; see ``publish(_:version:device:issued:expires:)``.
  @discardableResult
  public func publish(
    documents: [String: [UInt8]], version: UInt64? = nil, device: String? = nil, issued: Date? = nil,
    expires: Date? = nil
  ) -> Revision {
    publish(
      TestPublication(
        version: version ?? remote.nextVersion, documents: documents, device: device, issued: issued, expires: expires,
        signers: signers))
  }

  /// Publishes a state that was put together elsewhere, by another signer for instance.
  @discardableResult public func publish(_ publication: TestPublication) -> Revision {
    remote.publish(publication, leavingOut: [])
    return publication.revision
  }

  /// Publishes a state without any document: the only way to say "remove everything".
  @discardableResult public func publishEmpty(version: UInt64? = nil) -> Revision {
    publish(documents: [:], version: version)
  }

  /// Publishes no state at all: fetching answers absent.
  public func publishNothing() { remote.publishNothing() }

  /// Publishes a manifest while a part of what belongs to it is missing, as a copy that still runs leaves it.
  /// Publishing the same again completes it.
  public func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) {
    remote.publish(publication, leavingOut: [part])
  }

  /// Changes one byte of a part of the publication.
  public func corrupt(_ part: TestPublication.Part) { remote.corrupt(part) }

  /// Puts the published bytes of a part back where ``corrupt(_:)`` changed them.
  public func repair(_ part: TestPublication.Part) { remote.repair(part) }

  /// Sends a hint to every reader of ``changeHints()``. Publishing does so by itself.
  public func hint() { remote.hint() }

  /// Asks, with every answer from now on, not to be looked at again for some time; nil ends that.
  public func askForPatience(_ duration: Duration?) { remote.patience = duration }

  // MARK: - Trouble

  /// Lets operations fail with these errors, one each, before they work again.
  public func failNext(_ operation: Operation = .fetch, with errors: (any Error)...) {
    remote.failNext(operation, with: errors)
  }

  /// Lets every operation of this kind fail until ``recover()``.
  public func fail(_ operation: Operation = .fetch, with error: any Error) { remote.fail([operation], with: error) }

  /// Lets everything fail as an unreachable source does, until ``recover()``.
  public func becomeUnreachable(retryAfter: Duration? = nil) {
    remote.fail(
      Set(Operation.allCases),
      with: BackendError(
        .unreachable, "\(source) does not answer; check that it is switched on", retryAfter: retryAfter))
  }

  /// Ends ``fail(_:with:)``, ``becomeUnreachable(retryAfter:)``, ``stall(_:)`` and ``delay(_:by:)``.
  public func recover() { remote.recover() }

  /// Lets every operation of this kind take that long on the mock's clock.
  public func delay(_ operation: Operation = .fetch, by duration: Duration) { remote.delay(operation, by: duration) }

  /// Lets operations of these kinds hang until ``recover()``, their timeout or their cancellation.
  public func stall(_ operations: Operation...) {
    remote.stall.stall(operations.isEmpty ? Set(Operation.allCases) : Set(operations))
  }

  /// Waits until at least `count` operations hang.
  ///
  /// - Throws: `CancellationError` if the waiting task is cancelled.
  public func waitForStalled(_ count: Int = 1) async throws { try await remote.stall.waitForStalled(count) }

  /// Lets the manifest, or a document, that is published never end.
  ///
  /// - Throws: ``NotPossible`` for signatures.
  public func makeEndless(_ part: TestPublication.Part) throws(NotPossible) {
    switch part {
    case .manifest: remote.makeManifestEndless()
    case .document(let id): remote.makeDocumentEndless(id)
    case .signatures: throw NotPossible("the mock's signatures cannot be endless")
    }
  }

  // MARK: - What happened

  /// The acknowledgements received, in order; one that came twice is there once.
  public var acknowledgements: [Acknowledgement] { remote.acknowledgements }

  /// The newest status of a document, if there was one.
  public func status(of document: String) -> DocumentStatus? {
    for acknowledgement in acknowledgements.reversed() {
      if case .document(let status) = acknowledgement.outcome, status.documentID == document { return status }
    }
    return nil
  }

  /// The questions to the source so far.
  public var counts: Counts { remote.counts }

  /// The present publication.
  public var publication: TestPublication? { remote.published?.publication }

  /// How often the source was asked for what.
  public struct Counts: Sendable, Equatable {
    /// Calls of `fetch`.
    public var fetches = 0
    /// How often the manifest was read.
    public var manifestReads = 0
    /// How often each document was opened, by digest.
    public var documentReads: [Digest: Int] = [:]
    /// Bytes of manifests, signatures and documents together.
    public var bytes: UInt64 = 0
    /// Calls of `acknowledge`.
    public var acknowledgeCalls = 0

    /// Nothing counted yet.
    public init() {}

    /// How often any document was opened.
    public var documentsRead: Int { documentReads.values.reduce(0, +) }
  }
}
