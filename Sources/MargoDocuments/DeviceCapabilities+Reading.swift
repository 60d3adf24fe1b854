import DesiredStateSupport

extension DeviceCapabilities {
  private static let name = "the capabilities"
  private static let apiVersion = "device.margo.org/v1alpha1"
  private static let kind = "DeviceCapabilitiesManifest"

  /// Reads a document, and checks it against the schema.
  ///
  /// - Throws: ``MargoDocumentError`` that names every member that is wrong.
  public init(parsing bytes: [UInt8]) throws(MargoDocumentError) {
    try self.init(try Self.json(bytes))
  }

  /// Reads one document, or an array of them: a gateway and the devices behind it.
  ///
  /// - Returns: a gateway before the devices behind it.
  /// - Throws: ``MargoDocumentError``; also if a device is there twice.
  public static func list(parsing bytes: [UInt8]) throws(MargoDocumentError) -> [DeviceCapabilities] {
    let value = try json(bytes)
    var list: [DeviceCapabilities] = []
    for element in value.array ?? [value] { list.append(try DeviceCapabilities(element)) }
    list.sort { $0.id < $1.id }
    for (one, next) in zip(list, list.dropFirst()) where one.id == next.id {
      throw MargoDocumentError(
        .invalid, Self.name, [.init(field: "properties.id", message: "\(one.id) is there twice")])
    }
    return list
  }

  private static func json(_ bytes: [UInt8]) throws(MargoDocumentError) -> JSONValue {
    do {
      return try JSON.decode(JSONValue.self, from: bytes)
    } catch {
      throw MargoDocumentError(.malformed, name, [.init(field: "", message: "\(error)")], underlying: error)
    }
  }

  /// Reads a value, and checks it against the schema.
  ///
  /// - Throws: ``MargoDocumentError`` that names every member that is wrong.
  public init(_ value: JSONValue) throws(MargoDocumentError) {
    guard let members = value.object else {
      throw MargoDocumentError(.invalid, Self.name, [.init(field: "", message: "they are no object")])
    }
    var document = MemberReader(members, at: "")
    // The schema of 1.0.0-rc.3 has neither, the form before has to have both: they are added and left out as it is sent.
    if let version = document.string("apiVersion"), version != Self.apiVersion {
      document.note("apiVersion", "is \(quoted(version, limit: 60)), and not \(Self.apiVersion)")
    }
    if let kind = document.string("kind"), kind != Self.kind {
      document.note("kind", "is \(quoted(kind, limit: 60)), and not \(Self.kind)")
    }
    let isThere = members["properties"] != nil
    var reader = MemberReader(document.object("properties") ?? [:], at: "properties")
    guard isThere else {
      document.note("properties", "is missing")
      throw MargoDocumentError(.invalid, Self.name, document.faults)
    }
    let idText = reader.requiredString("id")
    let id = DeviceID(idText)
    if id == nil, !idText.isEmpty {
      reader.note(
        "id", "is \(quoted(idText, limit: 80)); it is made of letters, digits, '-', '.', '_' and '~' between slashes")
    }
    self.init(
      id: id ?? DeviceID("-")!, vendor: reader.requiredString("vendor"),
      modelNumber: reader.requiredString("modelNumber"), serialNumber: reader.requiredString("serialNumber"))
    readResources(&reader)
    otherProperties = reader.rest
    if let labels = document.object("labels") {
      for (key, value) in labels.sorted(by: { $0.key < $1.key }) where !Self.isLabel(value) {
        document.note("labels.\(key)", "is no string, number, boolean, or array of strings or numbers")
      }
      self.labels = labels
    }
    extensions = document.extensions()
    for name in document.rest.keys.sorted() {
      document.note(name, "is not in the specification; a supplier's own members go into x-<name>-extensions")
    }
    let faults = document.faults + reader.faults
    guard faults.isEmpty else { throw MargoDocumentError(.invalid, Self.name, faults) }
  }

  private mutating func readResources(_ reader: inout MemberReader) {
    cpus = reader.objects("cpus") { cpu in
      let isThere = cpu.rest["cores"] != nil
      let cores = cpu.number("cores")
      if !isThere { cpu.note("cores", "is missing") }
      if let cores, cores <= 0 { cpu.note("cores", "is not more than 0") }
      return Processor(cores: cores ?? 0, architecture: cpu.enumerated("architecture", Architecture.self))
    }
    memory = reader.string("memory")
    if let memory, !MemberReader.isQuantity(memory, units: ["Ki", "Mi", "Gi"]) {
      reader.note("memory", "is \(quoted(memory, limit: 40)); it is a number and Ki, Mi or Gi: 64Gi")
    }
    storage = reader.string("storage")
    if let storage, !MemberReader.isQuantity(storage, units: ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
      reader.note("storage", "is \(quoted(storage, limit: 40)); it is a number and Ki, Mi, Gi, Ti, Pi or Ei: 2Ti")
    }
    peripherals = reader.objects("peripherals") { peripheral in
      if peripheral.rest["type"] == nil { peripheral.note("type", "is missing") }
      return Peripheral(
        type: peripheral.enumerated("type", Peripheral.Kind.self) ?? .gpu,
        manufacturer: peripheral.string("manufacturer"), model: peripheral.string("model"))
    }
    interfaces = reader.objects("interfaces") { interface in
      if interface.rest["type"] == nil { interface.note("type", "is missing") }
      return Interface(type: interface.enumerated("type", Interface.Kind.self) ?? .ethernet)
    }
    otelCollector = reader.boolean("otelCollector")
    supportedRuntimes = reader.enumeration("supportedRuntimes", Runtime.self)
    supportedDeploymentTypes = reader.enumeration("supportedDeploymentTypes", DeploymentType.self)
  }

  private static func isLabel(_ value: JSONValue) -> Bool {
    switch value {
    case .string, .integer, .number, .boolean: true
    case .array(let elements): elements.allSatisfy { $0.string != nil } || elements.allSatisfy { $0.double != nil }
    case .null, .object: false
    }
  }
}

extension DeviceCapabilities {
  /// Which of the two forms of the API a document is for.
  public enum Form: Sendable, Hashable {
    /// 1.0.0-rc.3, whose schema has no `apiVersion` and no `kind`.
    case current
    /// The form whose paths name the client, which demands both.
    case clientID
  }

  /// The document as it is sent: keys sorted, so that the same capabilities are the same bytes.
  public func encoded(for form: Form = .current) -> [UInt8] {
    // Strings, numbers and values made of them can always be encoded, and a number is finite.
    (try? JSON.file(value(for: form))) ?? []
  }

  /// The document as a value: what selectors look into.
  public func value(for form: Form = .current) -> JSONValue {
    var members = extensions
    members["properties"] = .object(properties)
    if let labels { members["labels"] = .object(labels) }
    if form == .clientID {
      members["apiVersion"] = .string(Self.apiVersion)
      members["kind"] = .string(Self.kind)
    }
    return .object(members)
  }

  private var properties: [String: JSONValue] {
    var members = otherProperties
    func set(_ name: String, _ text: String?) { if let text { members[name] = .string(text) } }
    set("id", id.description)
    set("vendor", vendor)
    set("modelNumber", modelNumber)
    set("serialNumber", serialNumber)
    set("memory", memory)
    set("storage", storage)
    func list<Element>(_ name: String, _ elements: [Element]?, _ value: (Element) -> JSONValue) {
      if let elements { members[name] = .array(elements.map(value)) }
    }
    func object(_ pairs: KeyValuePairs<String, JSONValue?>) -> JSONValue {
      .object(Dictionary(uniqueKeysWithValues: pairs.compactMap { pair in pair.value.map { (pair.key, $0) } }))
    }
    list("cpus", cpus) {
      object(["cores": Self.number($0.cores), "architecture": $0.architecture.map { .string($0.rawValue) }])
    }
    list("peripherals", peripherals) {
      object([
        "type": .string($0.type.rawValue), "manufacturer": $0.manufacturer.map { .string($0) },
        "model": $0.model.map { .string($0) },
      ])
    }
    list("interfaces", interfaces) { object(["type": .string($0.type.rawValue)]) }
    if let otelCollector { members["otelCollector"] = .boolean(otelCollector) }
    list("supportedRuntimes", supportedRuntimes) { .string($0.rawValue) }
    list("supportedDeploymentTypes", supportedDeploymentTypes) { .string($0.rawValue) }
    return members
  }

  private static func number(_ value: Double) -> JSONValue {
    Int64(exactly: value).map { .integer($0) } ?? .number(value)
  }
}
