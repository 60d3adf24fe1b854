public import DesiredState
public import MargoDocuments

/// Which devices the deployments of one state are for: a gateway's own, and those behind it.
public struct Placement: Sendable {
  /// The devices, the gateway before those behind it, each with its own deployments.
  public var assignments: [(device: DeviceID, deployments: [Assignment])]
  /// What no device can run, each with the status that the manager has to be told.
  public var refusals: [DocumentStatus]

  /// One deployment for one device.
  public struct Assignment: Sendable {
    /// The document, as the state has it.
    public var document: Document
    /// The same, read.
    public var deployment: ApplicationDeployment
  }

  /// Sorts the documents of a state by the devices that they are for.
  ///
  /// A deployment without a target is for the gateway itself. Refused are: what cannot be read (`malformed`) or has another
  /// id than the manifest says (`wrong-id`); a device that is not known (101); any device at all, where the gateway does not
  /// choose (103); and a device whose capabilities do not suffice (`not-eligible`).
  ///
  /// - Parameters:
  ///   - documents: the documents of an `Update`.
  ///   - gateway: the device that follows the manager.
  ///   - devices: the capabilities of the gateway, if it hosts workloads, and of the devices behind it.
  ///   - choose: which device is to have a deployment for any of them; nil if there is none. Nil: the gateway does not
  ///     choose.
  /// - Throws: `FileError` if a document cannot be read from the store.
  public init(
    of documents: [Document], gateway: DeviceID, devices: [DeviceCapabilities],
    choose: (@Sendable (ApplicationDeployment, [DeviceCapabilities]) -> DeviceID?)? = nil
  ) async throws {
    let known = Dictionary(devices.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    var placed: [DeviceID: [Assignment]] = [:]
    var refused: [DocumentStatus] = []
    for document in documents {
      func refuse(_ code: String, _ message: String, source: String, on device: DeviceID? = nil, _ parts: [String] = [])
      {
        let error = DocumentStatus.Failure(code: code, source: source, message: message)
        refused.append(Self.failed(document, error, on: device, parts))
      }
      let deployment: ApplicationDeployment
      do {
        deployment = try ApplicationDeployment(yaml: try await document.contents())
      } catch let error as MargoDocumentError {
        refuse("malformed", error.message, source: document.id)
        continue
      }
      let parts = deployment.profile.components.map(\.name)
      guard deployment.id.lowercased() == document.id.lowercased() else {
        refuse("wrong-id", "its id is \(deployment.id)", source: deployment.name, parts)
        continue
      }
      let device: DeviceID
      switch deployment.target {
      case nil: device = gateway
      case .device(let named):
        // The codes that the specification reserves for gateways have the gateway as their source.
        guard named == gateway || known[named] != nil else {
          refuse("101", "Unknown child device ID", source: gateway.description, on: named, parts)
          continue
        }
        device = named
      case .anyBehind(let named):
        let candidates = devices.filter { $0.id.isBehind(named) && deployment.obstacles(on: $0).isEmpty }
        guard let choose, let chosen = choose(deployment, candidates) else {
          refuse("103", "Autonomous placement not supported", source: gateway.description, parts)
          continue
        }
        device = chosen
      }
      if let capabilities = known[device] {
        let obstacles = deployment.obstacles(on: capabilities)
        guard obstacles.isEmpty else {
          refuse(
            "not-eligible", obstacles.joined(separator: "; "), source: deployment.name,
            on: device == gateway ? nil : device, parts)
          continue
        }
      }
      placed[device, default: []].append(Assignment(document: document, deployment: deployment))
    }
    refusals = refused
    assignments = placed.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// The status of a deployment on a device that the gateway cannot reach (102).
  public static func unreachable(
    _ assignment: Assignment, on device: DeviceID, gateway: DeviceID
  ) -> DocumentStatus {
    let error = DocumentStatus.Failure(code: "102", source: gateway.description, message: "Child device unreachable")
    return failed(assignment.document, error, on: device, assignment.deployment.profile.components.map(\.name))
  }

  private static func failed(
    _ document: Document, _ error: DocumentStatus.Failure, on device: DeviceID?, _ components: [String]
  ) -> DocumentStatus {
    DocumentStatus(
      documentID: document.id, device: device?.description, state: .failed, error: error,
      components: components.map { .init(name: $0, state: .failed, error: error) })
  }
}
