import FoundationEssentials
import HTTPTypes
import Hummingbird

/// An error as clients see it: problem details (RFC 9457) with Margo's extension members.
struct Problem: Error, Encodable {
  var type: String
  var title: String
  var status: Int
  var detail: String
  var instance: String?
  var retryable: Bool
  var retryAfterSeconds: Int?
  var backoffStrategy: String
  var errors: [FieldError]?

  /// Which field of a request's body is wrong, and how.
  struct FieldError: Encodable, Equatable {
    var field: String
    var message: String
  }

  private init(
    _ status: HTTPResponse.Status, _ type: String?, _ title: String, _ detail: String, retryAfter: Int? = nil,
    errors: [FieldError]? = nil
  ) {
    // The catalogue of problem types in the specification; `about:blank` where it has none.
    self.type =
      type.map { "https://docs.margo.org/specification/problem-types#\($0)" } ?? "about:blank"
    self.title = title
    self.status = status.code
    self.detail = detail
    self.errors = errors
    retryAfterSeconds = retryAfter
    // The specification's table of retries: 429, 500 and 503 with growing waits, all else not at all.
    retryable = [429, 500, 503].contains(status.code)
    backoffStrategy = retryable ? "exponential" : "none"
  }

  static func invalidRequest(_ detail: String) -> Problem {
    Problem(.badRequest, "invalid-request", "Invalid Request", detail)
  }

  static func semanticError(_ errors: [FieldError]) -> Problem {
    Problem(
      .unprocessableContent, "semantic-error", "Semantic Error", "The request's body is not what the API asks for.",
      errors: errors)
  }

  static func notAuthorized(_ detail: String) -> Problem {
    Problem(.forbidden, "not-authorized", "Not Authorized", detail)
  }

  static let gatewayNotFound = Problem(
    .notFound, "gateway-not-found", "Gateway Not Found", "The device that this one is behind has not reported itself.")
  static let deviceNotFound = Problem(
    .notFound, "device-not-found", "Device Not Found", "The client has reported no device with this id.")
  static let bundleNotFound = Problem(
    .notFound, "invalid-bundle", "Invalid Bundle", "The client has no bundle with this digest.")
  static let deploymentNotFound = Problem(
    .notFound, "deployment-not-found", "Deployment Not Found", "The client has no such deployment with this digest.")
  static let notAcceptable = Problem(
    .notAcceptable, "server-cannot-generate-response", "Server Cannot Generate Response",
    "Manifests are served as application/vnd.margo.manifest.v1+json, which the request does not accept.")

  /// A problem without a type in the specification.
  static func other(_ status: HTTPResponse.Status, _ detail: String, retryAfter: Int? = nil) -> Problem {
    Problem(status, nil, status.reasonPhrase, detail, retryAfter: retryAfter)
  }

  func response(to request: Request) -> Response {
    var problem = self
    problem.instance = request.uri.path
    var fields: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
    if let retryAfterSeconds { fields[.retryAfter] = String(retryAfterSeconds) }
    // Strings, numbers and booleans: encoding cannot fail.
    let body = (try? JSONText.encode(problem)) ?? []
    return Response(
      status: .init(code: status), headers: fields, body: .init(byteBuffer: ByteBuffer(bytes: body)))
  }
}

/// Turns every error into problem details. The details that are not for clients go to the log alone.
struct ProblemMiddleware<Context: RequestContext>: RouterMiddleware {
  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    do {
      return try await next(request, context)
    } catch let problem as Problem {
      return problem.response(to: request)
    } catch let error as any HTTPResponseError {
      // Hummingbird's own: no such route, a body that is too long.
      let detail = (error as? HTTPError)?.body ?? "The request cannot be served: \(error.status.reasonPhrase)."
      return Problem.other(error.status, detail).response(to: request)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      context.logger.error("\(request.method) \(request.uri.path): \(error)")
      return Problem.other(.internalServerError, "The server failed; its log says how.").response(to: request)
    }
  }
}

/// JSON as this server writes and reads it.
enum JSONText {
  static func encode(_ value: some Encodable) throws -> [UInt8] {
    Array(try encoder(.prettyPrinted).encode(value)) + [UInt8(ascii: "\n")]
  }

  /// On one line.
  static func line(_ value: some Encodable) throws -> [UInt8] { Array(try encoder([]).encode(value)) }

  private static func encoder(_ formatting: JSONEncoder.OutputFormatting) -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
    encoder.dateEncodingStrategy = .iso8601
    return encoder
  }

  static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    return try decoder.decode(type, from: Data(bytes))
  }

  /// Whatever JSON there is.
  private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
  }

  /// Reads a request's body: anything but JSON is an invalid request, other JSON a semantic error.
  static func request<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    do {
      return try decode(type, from: bytes)
    } catch let error as DecodingError {
      func field(_ path: [any CodingKey]) -> String {
        path.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined().trimmingPrefix(".").description
      }
      switch error {
      case .keyNotFound(let key, let context):
        throw Problem.semanticError([.init(field: field(context.codingPath + [key]), message: "is missing")])
      case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
        guard (try? decode(Anything.self, from: bytes)) != nil else {
          throw Problem.invalidRequest("The body is no JSON.")
        }
        // Numbers that are too large come without a path.
        let place = context.codingPath.isEmpty ? "a number, or the whole" : field(context.codingPath)
        throw Problem.semanticError([.init(field: place, message: "is not what belongs there")])
      @unknown default: throw Problem.invalidRequest("The body cannot be read.")
      }
    }
  }
}
