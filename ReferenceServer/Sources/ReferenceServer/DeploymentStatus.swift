import DesiredState
import MargoDocuments

/// `DeploymentStatusManifest` of the specification.
struct DeploymentStatus: Codable, Sendable, Equatable {
  var deploymentId: String
  var deviceId: String?
  /// 1.0.0-rc.3 has it; the form before does not.
  var adoptedManifestVersion: UInt64?
  var status: Overall
  var components: [Component]

  struct Overall: Codable, Sendable, Equatable {
    var state: DocumentStatus.State
    var error: Failure?
  }

  struct Component: Codable, Sendable, Equatable {
    var name: String
    var state: DocumentStatus.State
    var error: Failure?
  }

  struct Failure: Codable, Sendable, Equatable {
    var code: String
    var source: String
    var message: String
  }

  /// What the specification says of values.
  ///
  /// - Parameters:
  ///   - id: the deployment that the path names.
  ///   - version: of the newest manifest that was served; nil if none was.
  ///   - needsVersion: whether it has to say under which manifest it is made.
  /// - Throws: ``Problem`` that names every field that is wrong.
  func check(id: String, newest version: UInt64?, needsVersion: Bool) throws {
    var errors: [Problem.FieldError] = []
    if deploymentId != id {
      errors.append(.init(field: "deploymentId", message: "is not the deployment that the path names"))
    }
    if let deviceId, DeviceID(deviceId) == nil {
      errors.append(.init(field: "deviceId", message: "is no device id"))
    }
    if adoptedManifestVersion == nil, needsVersion {
      errors.append(.init(field: "adoptedManifestVersion", message: "is missing"))
    }
    if let adoptedManifestVersion, adoptedManifestVersion == 0 || adoptedManifestVersion > version ?? 0 {
      errors.append(.init(field: "adoptedManifestVersion", message: "is the version of no manifest of this client"))
    }
    let states = components.map { DocumentStatus.Component(name: $0.name, state: $0.state) }
    let overall = DocumentStatus.overallState(of: states)
    if !components.isEmpty, status.state != overall {
      errors.append(
        .init(field: "status.state", message: "is not \(overall.rawValue), the most severe of the components' states"))
    }
    guard errors.isEmpty else { throw Problem.semanticError(errors) }
  }
}
