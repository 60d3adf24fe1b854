import DesiredState
import HTTPSource
import HTTPTransport
import HTTPTypes

/// Reads the documents of a drop that is behind an HTTP server.
struct DropOverHTTP: DocumentReader {
  private let client: SourceClient
  private let manifest: HTTPAddress
  private let ahead: ReadAhead

  /// - Parameter manifest: what answered with the manifest, after redirects.
  init(client: SourceClient, manifest: HTTPAddress, _ request: FetchRequest) {
    self.client = client
    self.manifest = manifest
    ahead = ReadAhead(timeout: request.timeout) { document in
      try await client.document(document, at: try manifest.address(of: document), limits: request.limits)
    }
  }

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    try await ahead.open(document)
  }

  func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] {
    ahead.announce(documents)
    return documents
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    guard let address = try? manifest.address(of: document),
      let exchange = try? await client.transport.send(address.request(.head), deadline: .now + .seconds(30)),
      exchange.response.status == .ok
    else { return nil }
    return Validator.settled(exchange.response.headerFields)?.1
  }
}

extension HTTPAddress {
  /// Where a document is whose drop's manifest is at this address: where its `url` leads, as on any road.
  ///
  /// - Throws: ``VerificationError`` with `document-missing` if that is not in the drop.
  func address(of document: DocumentReference) throws -> HTTPAddress {
    try resolvingInDrop(try Drop.path(of: document))
  }

  /// Where something in the drop is whose manifest is at this address.
  func resolvingInDrop(_ path: String) throws -> HTTPAddress {
    do throws(HTTPTransportError) {
      return try resolving("./" + PercentEncoding.encode(path: path))
    } catch {
      throw BackendError(error)
    }
  }
}
