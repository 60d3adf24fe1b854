import DesiredStateSupport

/// One workload: `ApplicationDeployment` of the Margo specification, with its components and parameters.
///
/// The form of 1.0.0-rc.3 and the one before are read. What neither has stays in ``value``.
public struct ApplicationDeployment: Sendable, Hashable {
  /// `id`, or `metadata.annotations.id` of the form before: that of the manifest's deployment.
  public var id: String
  /// Of the application that it deploys.
  public var applicationID: String
  /// `metadata.name`: the source of an error that is about the whole.
  public var name: String
  /// For Kubernetes.
  public var namespace: String
  /// The device that it is for; nil for the one that the manifest is for.
  public var target: Target?
  /// How it is deployed, and of what.
  public var profile: Profile
  /// Values for its components, by name.
  public var parameters: [String: Parameter]
  /// The whole document, with everything that is not known here.
  public var value: JSONValue

  /// A device, or any of those behind a gateway.
  public enum Target: Sendable, Hashable {
    /// This one.
    case device(DeviceID)
    /// `gateway/*`: the gateway chooses one.
    case anyBehind(DeviceID)

    /// Reads `gateway/press` or `gateway/*`.
    ///
    /// - Returns: nil if it is neither.
    public init?(_ text: String) {
      if text.hasSuffix("/*"), let gateway = DeviceID(String(text.dropLast(2))) {
        self = .anyBehind(gateway)
      } else if let device = DeviceID(text) {
        self = .device(device)
      } else {
        return nil
      }
    }
  }

  /// How it is deployed.
  public struct Profile: Sendable, Hashable {
    /// `helm`, `compose`; `helm.v3` in the form before.
    public var type: String
    /// In the order in which they are installed.
    public var components: [Component]
    /// What the device must have.
    public var constraints: DeviceConstraints?

    /// The kind of deployment that a device must support for it; nil for one that this specification does not name.
    public var deploymentType: DeviceCapabilities.DeploymentType? {
      type == "helm.v3" ? .helm : DeviceCapabilities.DeploymentType(rawValue: type)
    }
  }

  /// A package of the deployment.
  public struct Component: Sendable, Hashable {
    /// Unique in the deployment.
    public var name: String
    /// `oci://…`; nil in the form before, where a Compose package has its own address.
    public var repository: String?
    /// The version of the package.
    public var revision: String?
    /// Whether the next component waits for it.
    public var wait: Bool
    /// How long it may take; nil if it does not say.
    public var timeout: Duration?
    /// All properties, known or not.
    public var properties: [String: JSONValue]
  }

  /// A value for components.
  public struct Parameter: Sendable, Hashable {
    /// Any value.
    public var value: JSONValue?
    /// The places for it.
    public var targets: [Target]

    /// Where the value goes.
    public struct Target: Sendable, Hashable {
      /// A name of the component's own configuration.
      public var pointer: String
      /// The components that get it.
      public var components: [String]
    }
  }
}
