import MargoDocuments
import Testing

@testable import MargoDeployments

/// What a deployment may look like, in YAML of our own making after the specification's examples.
@Suite struct ApplicationDeploymentTests {
  static let id = "0f0e8f5c-9f3a-4a7e-8d57-6f2f9d3f1a10"

  static let helm = """
    apiVersion: application.margo.org/v1alpha1
    kind: ApplicationDeployment
    id: \(id)
    metadata:
      annotations:
        applicationId: org-example-oven
      name: oven-deployment
      namespace: plant
      deviceId: gw/oven-2
    spec:
      deploymentProfile:
        type: helm
        components:
          - name: database
            properties:
              repository: oci://registry.example/charts/database
              revision: 2.3.7-rc.1_build.5
              timeout: 8m30s
              wait: false
          - name: oven
            properties:
              repository: oci://registry.example/charts/oven
              revision: 1.0.9
        deviceConstraints:
          capacityRequirements:
            cpu: { cores: 1.5, architectures: [arm64, amd64] }
            memory: 512Mi
            storage: 1Gi
          eligibilityRules:
            - propertySelector:
                matchExpressions:
                  - { key: /vendor, operator: In, values: [Acme, Other] }
                  - { key: /peripherals, operator: ContainsAny, itemSelector: { matchExpressions: [{ key: /type, operator: In, values: [gpu] }] } }
              labelSelector:
                matchExpressions:
                  - { key: hall, operator: Gt, values: [3] }
                  - { key: retired, operator: DoesNotExist }
      parameters:
        celsius:
          value: 210
          targets:
            - pointer: settings.celsius
              components: [oven]
    x-later: kept
    """

  static let oldCompose = """
    apiVersion: application.margo.org/v1alpha1
    kind: ApplicationDeployment
    metadata:
      annotations:
        applicationId: org-example-oven
        id: \(id)
      name: oven-deployment
      namespace: plant
    spec:
      deploymentProfile:
        type: compose
        components:
          - name: oven
            properties:
              packageLocation: https://example.org/oven.tar.gz
              keyLocation: https://example.org/key.asc
              wait: "true"
      parameters: {}
    """

  private func read(_ text: String) throws -> ApplicationDeployment {
    try ApplicationDeployment(yaml: Array(text.utf8))
  }

  private func faults(_ text: String) -> [String] {
    do {
      _ = try ApplicationDeployment(yaml: Array(text.utf8))
      return []
    } catch {
      return error.code == .malformed ? ["malformed"] : error.faults.map(\.field)
    }
  }

  @Test func `the form of rc_3 is read, and what is not known stays`() throws {
    let deployment = try read(Self.helm)
    #expect(deployment.id == Self.id && deployment.applicationID == "org-example-oven")
    #expect(deployment.target == .device(try #require(DeviceID("gw/oven-2"))))
    #expect(deployment.profile.components.map(\.name) == ["database", "oven"])
    #expect(deployment.profile.components.map(\.wait) == [false, true])
    #expect(deployment.profile.components.map(\.timeout) == [.seconds(510), nil])
    #expect(deployment.parameters["celsius"]?.value == .integer(210))
    #expect(deployment.value.value(at: "/x-later") == .string("kept"))
    let any = try read(Self.helm.replacing("gw/oven-2", with: "gw/*"))
    #expect(any.target == .anyBehind(try #require(DeviceID("gw"))))
    let named = try read(Self.helm.replacing("spec:\n", with: "spec:\n  applicationId: org-example-other\n"))
    #expect(named.applicationID == "org-example-other")
  }

  @Test func `the form before is read too`() throws {
    let deployment = try read(Self.oldCompose)
    #expect(deployment.id == Self.id && deployment.target == nil && deployment.profile.type == "compose")
    #expect(deployment.profile.components[0].properties["keyLocation"] != nil && deployment.profile.components[0].wait)
    #expect(try read(Self.oldCompose.replacing("compose", with: "helm.v3")).profile.deploymentType == .helm)
  }

  @Test(arguments: [
    ("kind: ApplicationDeployment", "kind: Something", "kind"), ("v1alpha1", "v9", "apiVersion"),
    ("id: \(id)", "id: this-is-no-uuid", "id"), ("id: \(id)\n", "", "id"),
    ("applicationId: org-example-oven", "applicationId: Org.example_oven", "metadata.annotations.applicationId"),
    (
      "applicationId: org-example-oven", "applicationId: \"\(String(repeating: "1", count: 201))\"",
      "metadata.annotations.applicationId"
    ),
    ("name: oven-deployment", "name: 7", "metadata.name"), ("  namespace: plant\n", "", "metadata.namespace"),
    ("gw/oven-2", "gw/oven 2", "metadata.deviceId"), ("gw/oven-2", "\"*\"", "metadata.deviceId"),
    ("type: helm\n", "type: flatpak\n", "spec.deploymentProfile.type"),
    ("- name: oven", "- name: database", "spec.deploymentProfile.components"),
    (
      "oci://registry.example/charts/oven", "https://registry.example/oven",
      "spec.deploymentProfile.components[1].properties.repository"
    ),
    ("revision: 1.0.9", "revision: v1.0.9", "spec.deploymentProfile.components[1].properties.revision"),
    ("revision: 1.0.9", "revision: 1.0", "spec.deploymentProfile.components[1].properties.revision"),
    ("8m30s", "510", "spec.deploymentProfile.components[0].properties.timeout"),
    ("wait: false", "wait: \"false\"", "spec.deploymentProfile.components[0].properties.wait"),
    ("512Mi", "512MB", "spec.deploymentProfile.deviceConstraints.capacityRequirements.memory"),
    (
      "operator: Gt", "operator: Gte",
      "spec.deploymentProfile.deviceConstraints.eligibilityRules[0].labelSelector.matchExpressions[0].operator"
    ),
    (
      "values: [3]", "values: [3, 4]",
      "spec.deploymentProfile.deviceConstraints.eligibilityRules[0].labelSelector.matchExpressions[0].values"
    ),
    (
      "key: /vendor", "key: vendor",
      "spec.deploymentProfile.deviceConstraints.eligibilityRules[0].propertySelector.matchExpressions[0].key"
    ),
    ("components: [oven]", "components: [stove]", "spec.parameters.celsius.targets[0].components"),
  ])
  func `what the specification does not have is refused, by its name`(old: String, new: String, field: String) throws {
    let text = Self.helm.replacing(old, with: new)
    try #require(text != Self.helm)
    #expect(faults(text).contains(field), "\(faults(text))")
  }

  @Test(arguments: [
    "", "- a\n- b\n--- \nc", "a: 1\na: 2", "a: [", "&a [*a]", "? [a]\n: b", "a: *nowhere",
  ])
  func `what is no YAML of one meaning is malformed`(text: String) {
    #expect(faults(text) == ["malformed"])
  }

  @Test func `a small text with aliases does not become a large one`() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      text += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
    }
    #expect(faults(text) == ["malformed"])
  }

  @Test func `scalars have the types of YAML 1.2`() throws {
    let value = try ApplicationDeployment.value(
      ofYAML: Array("{a: yes, b: 'true', c: true, d: 0x1F, e: 1e3, f: 012, g: ~, h: 2024-01-01, i: '7'}".utf8))
    #expect(
      value.object == [
        "a": .string("yes"), "b": .string("true"), "c": .boolean(true), "d": .string("0x1F"), "e": .number(1000),
        "f": .integer(12), "g": .null, "h": .string("2024-01-01"), "i": .string("7"),
      ])
  }

  // MARK: - Eligibility

  private static func device() throws -> DeviceCapabilities {
    var device = DeviceCapabilities(
      id: try #require(DeviceID("gw/oven-2")), vendor: "Acme", modelNumber: "1", serialNumber: "2")
    device.cpus = [.init(cores: 1, architecture: .arm64), .init(cores: 0.5, architecture: .amd64)]
    (device.memory, device.storage) = ("1Gi", "1024 Mi")
    device.peripherals = [.init(type: .camera), .init(type: .gpu)]
    device.supportedDeploymentTypes = [.helm]
    device.labels = ["hall": .integer(4)]
    return device
  }

  @Test func `a device with everything is eligible, and each lack is told`() throws {
    let deployment = try read(Self.helm)
    #expect(deployment.obstacles(on: try Self.device()) == [])
    let lacks: [(String, (inout DeviceCapabilities) -> Void)] = [
      ("compose", { $0.supportedDeploymentTypes = [.compose] }), ("hosts no", { $0.supportedDeploymentTypes = nil }),
      ("1.5 cores", { $0.cpus?.removeLast() }), ("arm64 or amd64", { $0.cpus = [.init(cores: 8, architecture: .arm)] }),
      ("512Mi of memory", { $0.memory = "511Mi" }), ("memory", { $0.memory = nil }),
      ("1Gi of storage", { $0.storage = "1048575Ki" }), ("/vendor", { $0.vendor = "acme" }),
      ("/peripherals", { $0.peripherals?.removeLast() }), ("hall", { $0.labels = ["hall": .integer(3)] }),
      ("hall", { $0.labels = ["hall": .string("4")] }), ("hall", { $0.labels = nil }),
      ("retired", { $0.labels?["retired"] = .boolean(false) }),
    ]
    for (words, change) in lacks {
      var device = try Self.device()
      change(&device)
      let obstacles = deployment.obstacles(on: device)
      #expect(obstacles.count == 1 && obstacles[0].contains(words), "\(words): \(obstacles)")
    }
  }

  @Test(arguments: [
    ("In", "[a, b]", "", "b", true), ("In", "[1.0]", "", "1", true), ("In", "[a]", "", "[x, a]", true),
    ("In", "[a]", "", nil, false), ("NotIn", "[a]", "", "b", true), ("NotIn", "[a]", "", nil, true),
    ("NotIn", "[a]", "", "[x, a]", false), ("Exists", "[]", "", "~", true), ("Exists", "[]", "", nil, false),
    ("DoesNotExist", "[]", "", nil, true), ("DoesNotExist", "[]", "", "x", false), ("Gt", "[2]", "", "2.5", true),
    ("Gt", "[2]", "", "2", false), ("Gt", "[2]", "", "'3'", false), ("Lt", "[2]", "", "1", true),
    ("Lt", "[2]", "", nil, false),
  ])
  func `operators mean what the specification says`(
    name: String, values: String, items: String, label: String?, matches: Bool
  ) throws {
    let rule = "{ key: hall, operator: \(name), values: \(values) }"
    let text = Self.helm.replacing("- { key: hall, operator: Gt, values: [3] }", with: "- \(rule)")
    var device = try Self.device()
    device.labels = try label.map { ["hall": try ApplicationDeployment.value(ofYAML: Array($0.utf8))] }
    #expect(try read(text).obstacles(on: device).isEmpty == matches)
  }

  @Test func `ContainsAll asks for each, ContainsAny for one element that has all`() throws {
    let both = "[{ key: /type, operator: In, values: [gpu] }, { key: /manufacturer, operator: Exists }]"
    for (name, matches) in [("ContainsAny", false), ("ContainsAll", true)] {
      let text = Self.helm.replacing("ContainsAny", with: name)
        .replacing("[{ key: /type, operator: In, values: [gpu] }]", with: both)
      var device = try Self.device()
      device.peripherals = [.init(type: .camera, manufacturer: "N"), .init(type: .gpu)]
      #expect(try read(text).obstacles(on: device).isEmpty == matches, "\(name)")
      device.peripherals = [.init(type: .gpu, manufacturer: "N")]
      #expect(try read(text).obstacles(on: device).isEmpty)
    }
  }
}
