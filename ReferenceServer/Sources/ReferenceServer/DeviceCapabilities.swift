/// What this server reads of a `DeviceCapabilitiesManifest`: the fields that have to be there and those whose values
/// are enumerated.
struct DeviceCapabilities: Codable, Sendable, Equatable {
  var properties: Properties

  struct Properties: Codable, Sendable, Equatable {
    var id: String
    var vendor: String
    var modelNumber: String
    var serialNumber: String
    var cpus: [Processor]?
    var memory: String?
    var storage: String?
    var otelCollector: Bool?
    var peripherals: [Peripheral]?
    var interfaces: [Interface]?
    var supportedRuntimes: [Runtime]?
    var supportedDeploymentTypes: [DeploymentType]?
  }

  struct Processor: Codable, Sendable, Equatable {
    var cores: Double
    var architecture: Architecture?
  }

  enum Architecture: String, Codable, Sendable { case amd64, arm64, arm }
  enum Runtime: String, Codable, Sendable { case oci, custom }
  enum DeploymentType: String, Codable, Sendable { case helm, compose, custom }

  struct Peripheral: Codable, Sendable, Equatable {
    var type: Kind
    var manufacturer: String?
    var model: String?
    enum Kind: String, Codable, Sendable { case gpu, display, camera, microphone, speaker }
  }

  struct Interface: Codable, Sendable, Equatable {
    var type: Kind
    enum Kind: String, Codable, Sendable { case ethernet, wifi, cellular, bluetooth, usb, canbus, rs232 }
  }

  /// - Throws: ``Problem`` that names every field that is wrong.
  func check(id: String) throws {
    var errors: [Problem.FieldError] = []
    if properties.id != id {
      errors.append(.init(field: "properties.id", message: "is not the device that the path names"))
    }
    if properties.supportedRuntimes?.isEmpty == true {
      errors.append(.init(field: "properties.supportedRuntimes", message: "has to have one at least"))
    }
    if properties.supportedDeploymentTypes?.isEmpty == true {
      errors.append(.init(field: "properties.supportedDeploymentTypes", message: "has to have one at least"))
    }
    guard errors.isEmpty else { throw Problem.semanticError(errors) }
  }

  /// Unreserved characters (RFC 3986 section 2.3) in parts between slashes.
  static func isDeviceID(_ text: String) -> Bool {
    text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
      !part.isEmpty && part != "." && part != ".."
        && part.unicodeScalars.allSatisfy {
          ("A"..."Z").contains($0) || ("a"..."z").contains($0) || ("0"..."9").contains($0)
            || "._~-".unicodeScalars.contains($0)
        }
    }
  }
}
