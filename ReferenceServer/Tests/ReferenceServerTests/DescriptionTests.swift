import Testing

@testable import ReferenceServer

@Suite struct DescriptionTests {
  @Test func `each route is described, and each description is routed`() async throws {
    let server = try ReferenceServer(ReferenceServerConfiguration(dataDirectory: "/nonexistent"))
    let routes =
      server.api.router.routes.map { "\($0.method.rawValue) \($0.path)" }
      + server.admin.router.routes.map { "\($0.method.rawValue) \($0.path)" }
    // Hummingbird's word for the rest of a path.
    let routed = Set(routes.map { $0.replacing("**", with: "{deviceId}") })
    let described = Set(
      Description.shared.operations.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } })
    #expect(routed.subtracting(described).sorted() == [], "routes that are not described")
    #expect(described.subtracting(routed).sorted() == [], "descriptions that are not routed")
    #expect(routes.count == routed.count && routes.count >= 20)
  }
}
