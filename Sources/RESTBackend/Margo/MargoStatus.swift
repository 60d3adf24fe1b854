import DesiredState
import MargoDocuments

/// `DeploymentStatusManifest` of the Margo Workload Management API 1.0.0-rc.3.
struct MargoStatus: Encodable {
  let apiVersion = "deployment.margo.org/v1alpha1"
  let kind = "DeploymentStatusManifest"
  var deploymentId: String
  /// Optional, and required for a device behind a gateway. A name that the manager would refuse is left out.
  var deviceId: DeviceID?
  var adoptedManifestVersion: UInt64?
  var status: Status
  var components: [Component]

  struct Status: Encodable {
    var state: DocumentStatus.State
    var error: Failure?
  }

  struct Component: Encodable {
    var name: String
    var state: DocumentStatus.State
    var error: Failure?
  }

  /// The specification requires all three.
  struct Failure: Encodable {
    var code: String
    var source: String
    var message: String

    init?(_ failure: DocumentStatus.Failure?, source: String) {
      guard let failure else { return nil }
      code = failure.code
      self.source = failure.source ?? source
      message = failure.message
    }
  }

  /// The overall state is the most severe of the components', where there are components: the specification leaves the
  /// client no choice. What the agent said of the whole counts where it named none.
  init(_ status: DocumentStatus, device: String, adoptedManifestVersion: UInt64?) {
    deploymentId = status.documentID
    deviceId = DeviceID(status.device ?? device)
    self.adoptedManifestVersion = adoptedManifestVersion
    let state = status.components.isEmpty ? status.state : DocumentStatus.overallState(of: status.components)
    self.status = Status(state: state, error: Failure(status.error, source: status.documentID))
    components = status.components.map {
      Component(name: $0.name, state: $0.state, error: Failure($0.error, source: $0.name))
    }
  }
}
