import DesiredStateSupport

/// A device and its capabilities: `DeviceCapabilitiesManifest` of the Margo Workload Management API.
///
/// A device that hosts workloads reports its processors, memory, storage, runtimes and deployment types. A gateway that
/// only relays the devices behind it leaves all of these out; that it is a gateway follows from their ids.
public struct DeviceCapabilities: Sendable, Hashable {
  /// The device; one behind a gateway bears the gateway's id in front.
  public var id: DeviceID
  /// Who made it.
  public var vendor: String
  /// The maker's number of the model.
  public var modelNumber: String
  /// The maker's number of this one.
  public var serialNumber: String
  /// For workloads.
  public var cpus: [Processor]?
  /// For workloads, with a unit: `64Gi`.
  public var memory: String?
  /// For workloads, with a unit: `2Ti`.
  public var storage: String?
  /// For workloads.
  public var peripherals: [Peripheral]?
  /// For workloads.
  public var interfaces: [Interface]?
  /// Whether an OpenTelemetry collector is on the device; every device that hosts workloads has one.
  public var otelCollector: Bool?
  /// What runs workloads there.
  public var supportedRuntimes: [Runtime]?
  /// What it can receive.
  public var supportedDeploymentTypes: [DeploymentType]?
  /// Members of `properties` that this version of the specification does not have, kept as they are.
  public var otherProperties: [String: JSONValue] = [:]
  /// A supplier's labels, for selectors: a string, a number, a boolean, or an array of strings or of numbers each.
  public var labels: [String: JSONValue]?
  /// `x-<name>-extensions` of suppliers.
  public var extensions: [String: JSONValue] = [:]

  /// A device that hosts nothing yet.
  public init(id: DeviceID, vendor: String, modelNumber: String, serialNumber: String) {
    self.id = id
    self.vendor = vendor
    self.modelNumber = modelNumber
    self.serialNumber = serialNumber
  }

  /// A processor of the device, for workloads.
  public struct Processor: Sendable, Hashable, Codable {
    /// Cores; half a core is 0.5.
    public var cores: Double
    /// Nil if it is not said.
    public var architecture: Architecture?

    /// So many cores.
    public init(cores: Double, architecture: Architecture? = nil) {
      self.cores = cores
      self.architecture = architecture
    }
  }

  /// The architectures that the specification lists.
  public enum Architecture: String, Sendable, Hashable, Codable, CaseIterable {
    /// 64-bit x86.
    case amd64
    /// 64-bit ARM.
    case arm64
    /// 32-bit ARM.
    case arm
  }

  /// Something that is attached to the device.
  public struct Peripheral: Sendable, Hashable, Codable {
    /// Its kind.
    public var type: Kind
    /// Who made it.
    public var manufacturer: String?
    /// The maker's name for it.
    public var model: String?

    /// A peripheral of this kind.
    public init(type: Kind, manufacturer: String? = nil, model: String? = nil) {
      self.type = type
      self.manufacturer = manufacturer
      self.model = model
    }

    /// The kinds that the specification lists.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
      /// A graphics processor.
      case gpu
      /// A screen.
      case display
      /// A camera.
      case camera
      /// A microphone.
      case microphone
      /// A loudspeaker.
      case speaker
    }
  }

  /// A way for workloads to communicate.
  public struct Interface: Sendable, Hashable, Codable {
    /// Its kind.
    public var type: Kind

    /// An interface of this kind.
    public init(type: Kind) { self.type = type }

    /// The kinds that the specification lists.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
      /// Ethernet.
      case ethernet
      /// Wireless LAN.
      case wifi
      /// A mobile network.
      case cellular
      /// Bluetooth, Low Energy included.
      case bluetooth
      /// USB.
      case usb
      /// CAN bus.
      case canbus
      /// A serial line.
      case rs232
    }
  }

  /// What runs workloads.
  public enum Runtime: String, Sendable, Hashable, Codable, CaseIterable {
    /// A runtime of OCI containers.
    case oci
    /// A supplier's own.
    case custom
  }

  /// The kind of deployment that the device can receive.
  public enum DeploymentType: String, Sendable, Hashable, Codable, CaseIterable {
    /// Helm charts.
    case helm
    /// Compose files.
    case compose
    /// A supplier's own.
    case custom
  }

  /// Whether the device says that it hosts workloads.
  public var hostsWorkloads: Bool {
    cpus?.isEmpty == false || memory != nil || storage != nil || otelCollector != nil || supportedRuntimes != nil
      || supportedDeploymentTypes != nil
  }

  /// What a device that hosts workloads has to report and this one does not, by the specification's text. Its schema lets
  /// them be left out, so that they are no reason to keep the report back.
  public var omissions: [String] {
    guard hostsWorkloads else { return [] }
    var omissions: [String] = []
    if cpus?.isEmpty ?? true { omissions.append("cpus") }
    if memory == nil { omissions.append("memory") }
    if storage == nil { omissions.append("storage") }
    if peripherals == nil { omissions.append("peripherals") }
    if interfaces == nil { omissions.append("interfaces") }
    if otelCollector != true { omissions.append("otelCollector (true)") }
    if supportedRuntimes == nil { omissions.append("supportedRuntimes") }
    if supportedDeploymentTypes == nil { omissions.append("supportedDeploymentTypes") }
    return omissions
  }
}
