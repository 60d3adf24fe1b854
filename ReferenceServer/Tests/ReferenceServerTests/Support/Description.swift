import Foundation
import HTTPTypes
import Testing
import Yams

/// The OpenAPI description beside the sources, as far as tests compare with it.
struct Description: Sendable {
  static let shared: Description = {
    do { return try Description() } catch { fatalError("openapi.yaml cannot be read: \(error)") }
  }()

  /// For each path the methods, and for each method the statuses.
  let operations: [String: [String: Set<Int>]]

  private init() throws {
    let file = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../openapi.yaml").standardized
    let root = try #require(try Yams.load(yaml: String(contentsOf: file, encoding: .utf8)) as? [String: Any])
    let paths = try #require(root["paths"] as? [String: [String: Any]])
    let methods: Set = ["get", "put", "post", "delete", "patch", "head"]
    operations = try paths.mapValues { item in
      var found: [String: Set<Int>] = [:]
      for (method, operation) in item where methods.contains(method) {
        let responses = try #require((operation as? [String: Any])?["responses"] as? [AnyHashable: Any])
        found[method] = Set(responses.keys.compactMap { Int("\($0)") })
      }
      return found
    }
  }

  /// Records an issue if the answer to a request is not described.
  func check(_ method: HTTPRequest.Method, _ path: String, _ status: Int) throws {
    let segments = path.prefix { $0 != "?" }.split(separator: "/")
    let candidates = operations.filter { template, methods in
      let parts = template.split(separator: "/")
      let isLong = parts.last == "{deviceId}" && segments.count >= parts.count
      guard isLong || parts.count == segments.count, methods[method.rawValue.lowercased()] != nil else { return false }
      return zip(parts, segments).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
    }
    // The most literal one is what the server's router takes, too.
    let best = candidates.min { $0.key.filter { $0 == "{" }.count < $1.key.filter { $0 == "{" }.count }
    let statuses = try #require(best, "\(method) \(path) is not described").value[method.rawValue.lowercased()] ?? []
    #expect(statuses.contains(status), "\(method) \(path) answered \(status), which openapi.yaml does not say")
  }
}
