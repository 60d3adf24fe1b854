import DesiredStateSupport

extension ApplicationDeployment {
  private static let document = "the deployment"

  /// Reads a deployment, and checks it against the specification.
  ///
  /// - Throws: ``MargoDocumentError`` that names every member that is wrong.
  public init(_ value: JSONValue) throws(MargoDocumentError) {
    guard let members = value.object else {
      throw MargoDocumentError(.invalid, Self.document, [.init(field: "", message: "it is no object")])
    }
    var reader = MemberReader(members, at: "")
    let kind = reader.requiredString("kind")
    if !kind.isEmpty, kind != "ApplicationDeployment" {
      reader.note("kind", "is \(quoted(kind, limit: 60)), and not ApplicationDeployment")
    }
    let version = reader.requiredString("apiVersion")
    if !version.isEmpty, version != "application.margo.org/v1alpha1" {
      reader.note("apiVersion", "is \(quoted(version, limit: 60)), and not application.margo.org/v1alpha1")
    }
    var metadata = Self.section("metadata", &reader)
    var spec = Self.section("spec", &reader)
    var annotations = MemberReader(metadata.object("annotations") ?? [:], at: "metadata.annotations")
    // The form before has both ids among the annotations.
    let isOld = members["id"] == nil && annotations.rest["id"] != nil
    id = isOld ? annotations.requiredString("id") : reader.requiredString("id")
    if !id.isEmpty, !Self.isUUID(id) {
      let words = "is \(quoted(id, limit: 60)), and not a UUID"
      if isOld { annotations.note("id", words) } else { reader.note("id", words) }
    }
    if spec.rest["applicationId"] != nil {
      applicationID = Self.applicationID(&spec)
    } else {
      applicationID = Self.applicationID(&annotations)
    }
    name = metadata.requiredString("name")
    namespace = metadata.requiredString("namespace")
    target = nil
    if let text = metadata.string("deviceId") {
      target = Target(text)
      if target == nil { metadata.note("deviceId", "is \(quoted(text, limit: 80)), and no device id") }
    }
    profile = Self.profile(&spec, isOld: isOld)
    parameters = Self.parameters(&spec, components: profile.components.map(\.name))
    self.value = value
    let faults = reader.faults + metadata.faults + annotations.faults + spec.faults
    guard faults.isEmpty else { throw MargoDocumentError(.invalid, Self.document, faults) }
  }

  private static func section(_ name: String, _ reader: inout MemberReader) -> MemberReader {
    if reader.rest[name] == nil { reader.note(name, "is missing") }
    return MemberReader(reader.object(name) ?? [:], at: name)
  }

  /// `^[-a-z0-9]{1,200}$`
  private static func applicationID(_ reader: inout MemberReader) -> String {
    let id = reader.requiredString("applicationId")
    let isRight = id.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || byte == UInt8(ascii: "-")
    }
    if !isRight || id.utf8.count > 200 {
      reader.note("applicationId", "has to be 1 to 200 lower-case letters, digits and dashes")
    }
    return id
  }

  private static func isUUID(_ text: String) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    return parts.map(\.utf8.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy(\.isHexDigit) }
  }

  private static func profile(_ spec: inout MemberReader, isOld: Bool) -> Profile {
    if spec.rest["deploymentProfile"] == nil { spec.note("deploymentProfile", "is missing") }
    var reader = MemberReader(spec.object("deploymentProfile") ?? [:], at: "spec.deploymentProfile")
    let isThere = !reader.rest.isEmpty
    let type = isThere ? reader.requiredString("type") : ""
    if !type.isEmpty, !["helm", "compose", "helm.v3"].contains(type) {
      reader.note("type", "is \(quoted(type, limit: 40)), and not one of helm, compose")
    }
    if isThere, reader.rest["components"] == nil { reader.note("components", "is missing") }
    let components = reader.objects("components") { component(&$0, isOld: isOld || type == "helm.v3") } ?? []
    let names = components.map(\.name)
    if Set(names).count < names.count { reader.note("components", "has a name twice") }
    let constraints = reader.object("deviceConstraints").map { DeviceConstraints($0, in: &reader) }
    spec.add(reader.faults)
    return Profile(type: type, components: components, constraints: constraints)
  }

  private static func component(_ reader: inout MemberReader, isOld: Bool) -> Component {
    let name = reader.requiredString("name")
    if reader.rest["properties"] == nil { reader.note("properties", "is missing") }
    let all = reader.object("properties") ?? [:]
    var properties = MemberReader(all, at: reader.field("properties"))
    // A Compose package of the form before has `packageLocation` in place of these.
    let needsRepository = all["packageLocation"] == nil && !all.isEmpty
    let repository = needsRepository ? properties.requiredString("repository") : properties.string("repository")
    if let repository, !repository.isEmpty, !repository.hasPrefix("oci://") || repository.utf8.count == 6 {
      properties.note("repository", "is \(quoted(repository, limit: 120)), and no oci:// address")
    }
    let revision = needsRepository ? properties.requiredString("revision") : properties.string("revision")
    if let revision, !revision.isEmpty, !isOld, !isRevision(revision) {
      properties.note("revision", "is \(quoted(revision, limit: 60)), and no semantic version such as 1.2.3")
    }
    // The form before writes it in quotes.
    var wait = true
    switch properties.take("wait") {
    case .boolean(let value): wait = value
    case .string("true") where isOld: wait = true
    case .string("false") where isOld: wait = false
    case nil: break
    default: properties.note("wait", "is neither true nor false")
    }
    let text = properties.string("timeout")
    let timeout = text.flatMap(minutesAndSeconds)
    if let text, timeout == nil { properties.note("timeout", "is \(quoted(text, limit: 40)), and not as in 8m30s") }
    reader.add(properties.faults)
    return Component(
      name: name, repository: repository, revision: revision, wait: wait, timeout: timeout, properties: all)
  }

  /// SemVer 2.0 without a leading `v`, `_` in place of `+`.
  private static func isRevision(_ text: String) -> Bool {
    let semantic =
      #/(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(_[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?/#
    return text.utf8.count <= 256 && text.allSatisfy(\.isASCII) && text.wholeMatch(of: semantic) != nil
  }

  /// `8m30s`
  private static func minutesAndSeconds(_ text: String) -> Duration? {
    guard text.hasSuffix("s") else { return nil }
    let parts = text.dropLast().split(separator: "m", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 9 && $0.allSatisfy(\.isWholeNumber) }),
      let minutes = Int64(parts[0]), let seconds = Int64(parts[1])
    else { return nil }
    return .seconds(minutes * 60 + seconds)
  }

  private static func parameters(_ spec: inout MemberReader, components: [String]) -> [String: Parameter] {
    var parameters: [String: Parameter] = [:]
    var faults: [MargoDocumentError.Fault] = []
    for (name, value) in (spec.object("parameters") ?? [:]).sorted(by: { $0.key < $1.key }) {
      var reader = MemberReader(value.object ?? [:], at: "spec.parameters.\(name)")
      if value.object == nil { reader.note("", "is no object") }
      if value.object != nil, reader.rest["targets"] == nil { reader.note("targets", "is missing") }
      let targets = reader.objects("targets") { target in
        let pointer = target.requiredString("pointer")
        if target.rest["components"] == nil { target.note("components", "is missing") }
        let names = (target.array("components") ?? []).compactMap(\.string)
        for name in names where !components.contains(name) {
          target.note("components", "names \(quoted(name, limit: 60)), and there is no such component")
        }
        return Parameter.Target(pointer: pointer, components: names)
      }
      parameters[name] = Parameter(value: reader.take("value"), targets: targets ?? [])
      faults += reader.faults
    }
    spec.add(faults)
    return parameters
  }
}
