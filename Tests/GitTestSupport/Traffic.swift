/// Bytes that no compression makes less of.
package func random(_ count: Int) -> [UInt8] {
  var generator = SystemRandomNumberGenerator()
  return (0..<count / 8).flatMap { _ in withUnsafeBytes(of: generator.next(), Array.init) }
}

/// How many bytes left a server while something was done.
package func bytes(_ road: GitOverHTTP, _ body: () async throws -> Void) async throws -> UInt64 {
  let before = try await road.bytes() ?? 0
  try await body()
  return try await road.bytes()! - before
}
