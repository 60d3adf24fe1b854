package import DesiredState
import DesiredStateSupport
package import HTTPTransport
import HTTPTypes

/// Reads the documents of a state over HTTP: by the bundle where that is the cheaper way, else one by one, ahead of
/// being asked.
package final class HTTPDocumentReader: DocumentReader {
  /// Where things of this state are.
  package struct Locations: Sendable {
    /// Where a document is. Throws ``VerificationError`` with `document-missing` if its `url` leads nowhere.
    package var document: @Sendable (DocumentReference) throws -> HTTPAddress
    /// Where a bundle is.
    package var bundle: @Sendable (StateManifest.BundleReference) throws -> HTTPAddress

    package init(
      document: @escaping @Sendable (DocumentReference) throws -> HTTPAddress,
      bundle: @escaping @Sendable (StateManifest.BundleReference) throws -> HTTPAddress
    ) {
      self.document = document
      self.bundle = bundle
    }
  }

  private struct State {
    var order: [DocumentReference] = []
    /// What came, or is coming, in a bundle.
    var bundled: Task<[Digest: [UInt8]], any Error>?
    /// Documents that were wrong before: caches on the way are not to answer for them.
    var suspected: Set<Digest> = []
  }

  private let client: SourceClient
  private let manifest: [UInt8]
  private let limits: Limits
  private let timeout: Duration
  private let locations: Locations
  private let refusesWrongBundles: Bool
  private let ahead: Prefetcher
  private let state = LockedValue(State())

  /// - Parameters:
  ///   - request: by whose limits and timeout documents are read.
  ///   - refusesWrongBundles: whether a bundle with another digest than the manifest names is a reason to refuse the state,
  ///     and not only to do without the bundle.
  package init(
    over client: SourceClient, manifest: [UInt8], for request: FetchRequest, at locations: Locations,
    refusingWrongBundles refusesWrongBundles: Bool = false
  ) {
    self.refusesWrongBundles = refusesWrongBundles
    self.client = client
    self.manifest = manifest
    self.locations = locations
    limits = request.limits
    timeout = request.timeout
    let state = state
    ahead = Prefetcher(timeout: request.timeout, pacer: client.pacer) { document, limit in
      try await client.document(
        document, at: try locations.document(document), limit: min(limit, request.limits.documentSize),
        timeout: request.timeout, isAroundCaches: state.withLock { $0.suspected.contains(document.digest) })
    }
  }

  deinit { state.withLock { $0.bundled?.cancel() } }

  package func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] {
    let bundle = bundle(for: documents)
    state.withLock { state in
      state.bundled?.cancel()
      state = State(order: documents, suspected: state.suspected)
      if let bundle {
        state.bundled = Task { [client, limits] in try await bundle.documents(over: client, limits: limits) }
      }
    }
    ahead.announce(bundle == nil ? documents : [])
    return documents
  }

  package func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    if let bytes = try await bundled(document) { return DocumentBytes(bytes) }
    let bytes = try await ahead.open(document)
    guard var exchange = bytes as? DocumentExchange else { return bytes }
    exchange.continuing = continuing(document)
    return exchange
  }

  package func open(
    _ document: DocumentReference, from offset: UInt64
  ) async throws -> any AsyncSequence<[UInt8], any Error> {
    guard offset > 0 else { return try await open(document) }
    var exchange = try await continuing(document)(offset, nil)
    exchange.timeout = timeout
    exchange.start = offset
    exchange.continuing = continuing(document)
    return exchange
  }

  private func continuing(_ document: DocumentReference) -> DocumentExchange.Continue {
    { [client, locations, limits, timeout] offset, validator in
      try await client.document(
        document, at: try locations.document(document), limit: limits.documentSize, timeout: timeout, from: offset,
        validator: validator)
    }
  }

  /// Asked for of a document that was wrong: from then on, caches on the way are not to answer for it.
  package func fingerprint(of document: DocumentReference) async -> String? {
    state.withLock { _ = $0.suspected.insert(document.digest) }
    guard let address = try? locations.document(document),
      let exchange = try? await client.send(
        .head, to: address, headerFields: [.cacheControl: "no-cache"], deadline: .now + timeout),
      exchange.response.status == .ok, let validator = CacheValidator.settled(exchange.response.headerFields)?.1
    else { return nil }
    return "\(address.origin) \(validator)"
  }

  /// The bundle, if it is worth fetching for these documents.
  private func bundle(for missing: [DocumentReference]) -> Bundle? {
    guard let named = StateManifest.bundle(in: manifest),
      Bundle.isWorthwhile(named.reference, for: missing, of: named.documentCount)
    else { return nil }
    return (try? locations.bundle(named.reference)).map { Bundle(named.reference, at: $0) }
  }

  /// A document from the bundle; nil if it has to be fetched by itself.
  private func bundled(_ document: DocumentReference) async throws -> [UInt8]? {
    guard let task = state.withLock({ $0.bundled }) else { return nil }
    do {
      // Nothing of any document is there before all of the bundle is: on a slow line, documents come one by one instead,
      // before the reader gives up waiting.
      return try await withTimeout(timeout / 2) { try await task.value[document.digest] }
    } catch {
      try Task.checkCancellation()
      if refusesWrongBundles, let refusal = error as? VerificationError, refusal.code == .digestMismatch {
        throw refusal
      }
      task.cancel()
      // A broken bundle is no reason to do without the documents. From here on they come one by one.
      let rest = state.withLock { state in
        state.bundled = nil
        return state.order
      }
      ahead.announce(rest)
      return nil
    }
  }
}
