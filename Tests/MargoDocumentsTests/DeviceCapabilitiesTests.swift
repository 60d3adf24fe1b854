import Testing

@testable import MargoDocuments

/// What the schema of `DeviceCapabilitiesManifest` takes and refuses.
@Suite struct DeviceCapabilitiesTests {
  /// A device that hosts workloads, with everything that one reports.
  static let host = """
    {"apiVersion": "device.margo.org/v1alpha1", "kind": "DeviceCapabilitiesManifest",
     "properties": {"id": "line-3.press", "vendor": "Acme", "modelNumber": "P-1", "serialNumber": "0815",
      "cpus": [{"cores": 2.5, "architecture": "arm64"}, {"cores": 4}], "memory": "8Gi", "storage": "1862 Gi",
      "peripherals": [{"type": "gpu", "manufacturer": "N", "model": "M"}], "interfaces": [{"type": "canbus"}],
      "otelCollector": true, "supportedRuntimes": ["oci"], "supportedDeploymentTypes": ["helm", "compose"],
      "rack": {"row": 7}},
     "labels": {"acme.example/zone": "hot", "rank": 3, "spare": false, "lines": ["a", "b"], "temperatures": [1, 2.5]},
     "x-acme-extensions": {"big": 9007199254740993, "huge": 1e30}}
    """

  private func faults(_ text: String) -> [String] {
    do {
      _ = try DeviceCapabilities(parsing: Array(text.utf8))
      return []
    } catch {
      return error.faults.map(\.field)
    }
  }

  @Test func `everything that a host reports is read, and nothing is lost when it is sent`() throws {
    let host = try DeviceCapabilities(parsing: Array(Self.host.utf8))
    #expect(host.id.description == "line-3.press" && host.cpus?.map(\.cores) == [2.5, 4])
    #expect(host.supportedDeploymentTypes == [.helm, .compose] && host.omissions.isEmpty)
    #expect(host.otherProperties["rack"]?.value(at: "/row") == .integer(7))
    #expect(host.extensions["x-acme-extensions"]?.value(at: "/big") == .integer(9_007_199_254_740_993))
    for form in [DeviceCapabilities.Form.current, .clientID] {
      let sent = host.encoded(for: form)
      #expect(try DeviceCapabilities(parsing: sent) == host)
      let text = String(decoding: sent, as: UTF8.self)
      #expect(
        text.contains("\"kind\"") == (form == .clientID) && text.contains("\"apiVersion\"") == (form == .clientID))
    }
  }

  @Test func `a gateway that only relays reports who it is, and nothing else`() throws {
    let text = #"{"properties": {"id": "gateway1", "vendor": "V", "modelNumber": "M", "serialNumber": "S"}}"#
    let gateway = try DeviceCapabilities(parsing: Array(text.utf8))
    #expect(!gateway.hostsWorkloads && gateway.omissions.isEmpty)
    #expect(!String(decoding: gateway.encoded(), as: UTF8.self).contains("cpus"))
  }

  @Test(arguments: [
    ("{}", ["properties"]), ("[]", [""]),
    (
      #"{"properties": []}"#,
      ["properties", "properties.id", "properties.vendor", "properties.modelNumber", "properties.serialNumber"]
    ),
  ])
  func `what has no properties is refused`(text: String, fields: [String]) {
    #expect(faults(text) == fields)
  }

  @Test(arguments: [
    (#""vendor": "Acme","#, "", "properties.vendor"),
    (#""vendor": "Acme""#, #""vendor": """#, "properties.vendor"),
    (#""serialNumber": "0815""#, #""serialNumber": 815"#, "properties.serialNumber"),
    ("line-3.press", "line 3", "properties.id"), ("line-3.press", "gateway1//a", "properties.id"),
    ("line-3.press", "/a", "properties.id"), ("line-3.press", "a/*", "properties.id"),
    ("line-3.press", "a/..", "properties.id"),
    ("DeviceCapabilitiesManifest", "SomeOtherKind", "kind"), ("v1alpha1", "v2", "apiVersion"),
    (#""cores": 4"#, #""threads": 4"#, "properties.cpus[1].cores"),
    (#""cores": 4"#, #""cores": "4""#, "properties.cpus[1].cores"),
    (#""cores": 4"#, #""cores": 0"#, "properties.cpus[1].cores"),
    ("arm64", "x86_64", "properties.cpus[0].architecture"), ("arm64", "ARM64", "properties.cpus[0].architecture"),
    (#""8Gi""#, #""8GB""#, "properties.memory"), (#""8Gi""#, #""8Ti""#, "properties.memory"),
    (#""8Gi""#, "8", "properties.memory"), ("1862 Gi", "-1 Gi", "properties.storage"),
    (#""type": "gpu""#, #""type": "GPU""#, "properties.peripherals[0].type"),
    (#""type": "gpu","#, "", "properties.peripherals[0].type"),
    (#""type": "canbus""#, #""type": "token ring""#, "properties.interfaces[0].type"),
    ("true", "\"yes\"", "properties.otelCollector"),
    (#"["oci"]"#, "[]", "properties.supportedRuntimes"), (#"["oci"]"#, #""oci""#, "properties.supportedRuntimes"),
    (#"["oci"]"#, #"["docker"]"#, "properties.supportedRuntimes[0]"),
    (#""helm""#, #""helm.v3""#, "properties.supportedDeploymentTypes[0]"),
    (#""rank": 3"#, #""rank": {"a": 1}"#, "labels.rank"), (#""rank": 3"#, #""rank": null"#, "labels.rank"),
    (#"["a", "b"]"#, #"["a", 1]"#, "labels.lines"),
    ("x-acme-extensions", "x-Acme-extensions", "x-Acme-extensions"),
    ("x-acme-extensions", "x-extensions", "x-extensions"), ("x-acme-extensions", "resources", "resources"),
    (#"{"big": 9007199254740993, "huge": 1e30}"#, "7", "x-acme-extensions"),
  ])
  func `what the schema does not have is refused, by its name`(old: String, new: String, field: String) throws {
    let text = Self.host.replacing(old, with: new)
    try #require(text != Self.host)
    #expect(faults(text) == [field])
  }

  @Test func `all faults are told at once, and what is no JSON is malformed`() throws {
    let text = Self.host.replacing("8Gi", with: "lots").replacing("oci", with: "wasm")
    let error = try #require(throws: MargoDocumentError.self) { try DeviceCapabilities(parsing: Array(text.utf8)) }
    #expect(error.code == .invalid && error.faults.count == 2)
    #expect(error.message.contains("properties.memory") && error.message.contains("one of oci, custom"))
    for text in ["", "{", #"{"properties": {}, "properties": {}}"#] {
      let error = try #require(throws: MargoDocumentError.self) { try DeviceCapabilities(parsing: Array(text.utf8)) }
      #expect(error.code == .malformed)
    }
  }

  @Test func `a list has a gateway before the devices behind it, and each device once`() throws {
    func device(_ id: String) -> String {
      #"{"properties": {"id": "\#(id)", "vendor": "V", "modelNumber": "M", "serialNumber": "S"}}"#
    }
    let text = "[\(["g/b/c", "z", "g/b", "g", "g/a"].map(device).joined(separator: ","))]"
    let list = try DeviceCapabilities.list(parsing: Array(text.utf8))
    #expect(list.map(\.id.description) == ["g", "z", "g/a", "g/b", "g/b/c"])
    #expect(list[4].id.parent == list[3].id && list[4].id.isBehind(list[0].id) && !list[1].id.isBehind(list[0].id))
    let twice = "[\(device("g")),\(device("g"))]"
    #expect(throws: MargoDocumentError.self) { try DeviceCapabilities.list(parsing: Array(twice.utf8)) }
  }
}
