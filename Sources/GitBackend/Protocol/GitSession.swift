/// An open session with a service of a repository.
protocol GitSession {
  /// What the service says of itself when it is connected to.
  func advertisement() async throws -> PacketReader
  /// Sends a request and returns its answer.
  func ask(_ request: [UInt8]) async throws -> PacketReader
}
