/// The question of one poll.
public struct FetchRequest: Sendable {
  /// The revision the device has; nil if it has none, or wants this one looked at as if it had none.
  public var current: Revision?
  /// The marker the same source gave with an earlier result, if any: see ``FetchResult/marker``. It may be given
  /// without ``current``, or with one that another source brought: it is no reason to answer `unchanged` then.
  public var marker: String?
  /// The marker that the source which brought the current state gave with it, if that is another source: what a backend
  /// of the same kind can keep order by where a state has no version.
  public var adoptedMarker: String?
  /// Which documents the store holds already. A backend that fetches documents ahead of being asked leaves these out.
  public var held: HeldDocuments
  /// Bounds to keep while reading.
  public var limits: Limits
  /// How long the call may take before it must throw ``BackendError/Code/timeout``, and how long any single read of a
  /// document may stall later.
  public var timeout: Duration

  /// The verifier that the state will face. A backend whose evidence is cheaper than the state (a signed commit) may
  /// weigh it early, and throw its refusal before anything else is fetched. Nil: it is weighed later, as always.
  public var verifier: Verifier?

  /// A request; without arguments, that of a device that has nothing yet.
  public init(
    current: Revision? = nil, marker: String? = nil, adoptedMarker: String? = nil,
    held: HeldDocuments = HeldDocuments { _ in false },
    limits: Limits = Limits(), timeout: Duration = .seconds(30), verifier: Verifier? = nil
  ) {
    self.current = current
    self.marker = marker
    self.adoptedMarker = adoptedMarker
    self.held = held
    self.limits = limits
    self.timeout = timeout
    self.verifier = verifier
  }
}

/// Which documents need not be fetched because their bytes are at hand.
public struct HeldDocuments: Sendable {
  private let contains: @Sendable (Digest) -> Bool

  /// Held is what the function says; it must be quick, and may be called from any thread.
  public init(_ contains: @escaping @Sendable (Digest) -> Bool) { self.contains = contains }

  /// Whether a document with this digest is held.
  public func contains(_ digest: Digest) -> Bool { contains(digest) }
}

/// Bounds on what a source may make a device read or store. They hold while reading, not after.
public struct Limits: Sendable, Hashable {
  /// Bytes of a manifest. Default 20 MiB, which some 90,000 documents of a drop have room in; reading any manifest of this size
  /// takes 64 MiB of memory at most.
  public var manifestSize: Int
  /// Bytes of all signatures of one manifest together. Default 1 MiB.
  public var evidenceSize: Int
  /// Documents in one state. Default 100,000.
  public var documentCount: Int
  /// Bytes of one document. Default 4 GiB.
  public var documentSize: UInt64
  /// Bytes of all documents of one state. Default 16 GiB.
  public var totalSize: UInt64

  /// The default limits, some of them changed.
  public init(
    manifestSize: Int = 20 << 20, evidenceSize: Int = 1 << 20, documentCount: Int = 100_000,
    documentSize: UInt64 = 4 << 30, totalSize: UInt64 = 16 << 30
  ) {
    self.manifestSize = manifestSize
    self.evidenceSize = evidenceSize
    self.documentCount = documentCount
    self.documentSize = documentSize
    self.totalSize = totalSize
  }
}
