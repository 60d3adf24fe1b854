import Foundation
import HTTPTransport
import HTTPTypes
import Logging
import Testing

@testable import ReferenceServer

/// A server that runs in this process, with a directory of its own.
struct TestSite: Sendable {
  let data: String
  let ports: ReferenceServer.Ports
  let scheme: String
  private let transport: HTTPTransport

  /// What came back.
  struct Promise: Sendable {
    var response: HTTPResponse
    var body: [UInt8]
    var status: Int { response.status.code }
    var text: String { String(decoding: body, as: UTF8.self) }
    subscript(_ name: HTTPField.Name) -> String? { response.headerFields[name] }

    /// Numbers, texts, lists and objects, as the test expects them.
    func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
      try JSONText.decode(type, from: body)
    }
  }

  /// Starts a server, runs the body, stops the server.
  ///
  /// - Parameters:
  ///   - data: a directory that was used before; nil: a new one, removed in the end.
  ///   - client: a certificate by which the test speaks.
  ///   - configuration: whatever is not about the directory.
  static func run(
    data: String? = nil, client: HTTPClientCertificate? = nil,
    configuration: ReferenceServerConfiguration = .init(dataDirectory: ""),
    _ body: @escaping @Sendable (TestSite) async throws -> Void
  ) async throws {
    let directory = data ?? NSTemporaryDirectory() + "reference-server-" + UUID().uuidString
    defer { if data == nil { try? FileManager.default.removeItem(atPath: directory) } }
    var configuration = configuration
    configuration.dataDirectory = directory
    var logger = Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .critical
    let (ready, continuation) = AsyncStream.makeStream(of: ReferenceServer.Ports.self)
    let server = try ReferenceServer(configuration, logger: logger) { continuation.yield($0) }
    var settings = HTTPTransportConfiguration()
    settings.redirects = .none
    settings.decodesContent = false
    if configuration.tls != nil {
      settings.tls.trust = .only(file: try await Certificates.shared.value.authority)
      settings.tls.clientCertificate = client
    }
    let transport = try HTTPTransport(configuration: settings)
    let scheme = configuration.tls == nil ? "http" : "https"
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        do { try await server.run() } catch is CancellationError {}
        continuation.finish()
      }
      var iterator = ready.makeAsyncIterator()
      guard let ports = await iterator.next() else {
        try await group.next()
        throw ReferenceServerFailure("the server ended before it began")
      }
      do {
        try await body(TestSite(data: directory, ports: ports, scheme: scheme, transport: transport))
      } catch {
        group.cancelAll()
        throw error
      }
      group.cancelAll()
    }
    await transport.shutdown()
  }

  struct ReferenceServerFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  var base: String { "\(scheme)://127.0.0.1:\(ports.api)" }

  /// Sends a request; what comes back has to be in the description.
  func send(
    _ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields = [:], body: String? = nil,
    sign: ((inout HTTPRequest, [UInt8]) throws -> Void)? = nil, isDescribed: Bool = true
  ) async throws -> Promise {
    let isAdmin = path.hasPrefix("/admin") || path == "/"
    var request = HTTPRequest(
      method: method, scheme: isAdmin ? "http" : scheme, authority: "127.0.0.1:\(isAdmin ? ports.admin : ports.api)",
      path: path, headerFields: fields)
    let bytes = body.map { Array($0.utf8) } ?? []
    if body != nil { request.headerFields[.contentType] = "application/json" }
    try sign?(&request, bytes)
    let exchange = try await transport.send(request, body: body == nil ? nil : bytes)
    let answer = Promise(response: exchange.response, body: try await exchange.body.collect(upTo: 1 << 24))
    if isDescribed { try Description.shared.check(method, path, answer.status) }
    if answer.status >= 400 {
      #expect(answer[.contentType] == "application/problem+json", "every error is problem details")
      let problem = try JSONText.decode(ProblemDetails.self, from: answer.body)
      #expect(problem.status == answer.status)
      #expect(problem.instance == String(path.prefix { $0 != "?" }))
    }
    return answer
  }

  struct ProblemDetails: Decodable {
    var type: String
    var status: Int
    var instance: String?
    var detail: String
    var retryAfterSeconds: Int?
    var errors: [Field]?
    struct Field: Decodable, Equatable {
      var field: String
      var message: String
    }
  }

  /// The data of server-sent events, as they come.
  func events() async throws -> AsyncThrowingStream<String, any Error> {
    let exchange = try await transport.send(
      HTTPRequest(method: .get, scheme: "http", authority: "127.0.0.1:\(ports.admin)", path: "/admin/events"), body: nil
    )
    let (stream, continuation) = AsyncThrowingStream.makeStream(of: String.self, throwing: (any Error).self)
    let task = Task {
      do {
        var text = ""
        for try await piece in exchange.body {
          text += String(decoding: piece, as: UTF8.self)
          while let end = text.range(of: "\n\n") {
            let event = text[..<end.lowerBound]
            if event.hasPrefix("data: ") { continuation.yield(String(event.dropFirst(6))) }
            text.removeSubrange(..<end.upperBound)
          }
        }
        continuation.finish()
      } catch {
        continuation.finish(throwing: error)
      }
    }
    continuation.onTermination = { _ in task.cancel() }
    return stream
  }

  func get(_ path: String, _ fields: HTTPFields = [:]) async throws -> Promise { try await send(.get, path, fields) }

  /// Switches faults on.
  func faults(_ json: String) async throws {
    #expect(try await send(.put, "/admin/faults", body: json).status == 200)
  }

  /// Puts a document in a client's plain directory.
  func write(_ document: String, _ text: String, client: String = "press-42") throws {
    let path = "\(data)/clients/\(client)/\(document)"
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
  }
}

/// A manifest as it came.
struct ServedManifest: Decodable, Equatable {
  struct Bundle: Decodable, Equatable { var mediaType, digest, url: String }
  struct Deployment: Decodable, Equatable { var deploymentId, digest, url: String }
  var manifestVersion: UInt64
  var bundle: Bundle?
  var deployments: [Deployment]
}
