import MargoDocuments

/// Capabilities as a client reports them.
enum Capabilities {
  /// Reads a report, and checks it against the schema.
  ///
  /// - Parameter device: the one that the path names.
  /// - Throws: ``Problem`` that names every field that is wrong.
  static func read(_ body: [UInt8], of device: DeviceID) throws -> DeviceCapabilities {
    let capabilities: DeviceCapabilities
    do {
      capabilities = try DeviceCapabilities(parsing: body)
    } catch {
      guard error.code != .malformed else { throw Problem.invalidRequest("The body is no JSON.") }
      throw Problem.semanticError(error.faults.map { .init(field: $0.field, message: $0.message) })
    }
    guard capabilities.id == device else {
      throw Problem.semanticError([.init(field: "properties.id", message: "is not the device that the path names")])
    }
    return capabilities
  }
}
