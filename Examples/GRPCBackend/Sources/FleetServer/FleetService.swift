import FoundationEssentials
public import GRPCCore
public import GRPCFleet
public import NIOConcurrencyHelpers

/// Serves the drops in a directory, one a device: `<directory>/<device>/manifest.json` and so on. Receipts are written into
/// them.
public final class FleetService: Plant_State_V1_Fleet.SimpleServiceProtocol {
  /// How a test wants it to behave, and its traffic.
  public struct Conduct: Sendable {
    /// Ask for patience, in milliseconds.
    public var patience: Int?
    /// The path of a file that has no end.
    public var endless: String?
    /// Take calls and say nothing.
    public var isStalled = false
    /// How often each path was read.
    public var reads: [String: Int] = [:]
    /// The bytes of files that were sent.
    public var bytes: UInt64 = 0
  }

  public let conduct = NIOLockedValueBox(Conduct())
  /// The revision of each device's manifest, while its file is as it was.
  let known = NIOLockedValueBox<[String: (stamp: String, revision: String)]>([:])
  private let directory: String
  static let piece = 64 << 10

  public init(directory: String) { self.directory = directory }

  public func get(
    request: Plant_State_V1_GetRequest, response: RPCWriter<Plant_State_V1_Part>, context: ServerContext
  ) async throws {
    try await heedConduct()
    guard let revision = revision(of: request.device) else {
      return try await response.write(.with { $0.head = .init() })
    }
    try await response.write(.with { $0.head = .with { $0.revision = revision } })
    guard revision != request.revision else { return }
    try await send("manifest.json", of: request.device, from: 0) { bytes in
      try await response.write(.with { $0.manifest = bytes })
    }
    let signatures = "signatures/\(revision.replacing(":", with: "-")).sig"
    do {
      try await send(signatures, of: request.device, from: 0) { bytes in
        try await response.write(.with { $0.signatures = bytes })
      }
    } catch let error as RPCError where error.code == .notFound {
      // The device says that it misses them.
    }
  }

  public func watch(
    request: Plant_State_V1_WatchRequest, response: RPCWriter<Plant_State_V1_Hint>, context: ServerContext
  ) async throws {
    var last: String?
    while true {
      let present = stamp(of: request.device)
      if present != last {
        last = present
        try await response.write(.with { $0.revision = present })
      }
      // A service with a database would be told; files are looked at.
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  public func read(
    request: Plant_State_V1_ReadRequest, response: RPCWriter<Plant_State_V1_Chunk>, context: ServerContext
  ) async throws {
    try await heedConduct()
    try await send(request.path, of: request.device, from: request.offset) { bytes in
      try await response.write(.with { $0.bytes = bytes })
    }
  }

  public func acknowledge(
    request: Plant_State_V1_Receipt, context: ServerContext
  ) async throws -> Plant_State_V1_Accepted {
    try await heedConduct()
    guard request.path.hasPrefix("acknowledgements/") else {
      throw RPCError(code: .invalidArgument, message: "a receipt goes below acknowledgements/")
    }
    let file = URL(filePath: try path(request.path, of: request.device))
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try request.bytes.write(to: file, options: .atomic)
    return .init()
  }

  private func heedConduct() async throws {
    while conduct.withLockedValue({ $0.isStalled }) { try await Task.sleep(for: .milliseconds(20)) }
    guard let wait = conduct.withLockedValue({ $0.patience }) else { return }
    var trailer = Metadata()
    trailer.addString("\(wait)", forKey: "grpc-retry-pushback-ms")
    throw RPCError(code: .resourceExhausted, message: "come back later", metadata: trailer)
  }

  func path(_ path: String, of device: String) throws -> String {
    let parts = [device] + path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") && !$0.contains("/") && !$0.contains("\0") }) else {
      throw RPCError(code: .notFound, message: "no such file")
    }
    return directory + "/" + parts.joined(separator: "/")
  }
}
