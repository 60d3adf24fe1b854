import DesiredStateSupport

/// What a device must have for a deployment: enough of everything, and what the rules ask of its capabilities.
public struct DeviceConstraints: Sendable, Hashable {
  /// Cores; half a core is 0.5.
  public var cores: Double?
  /// One of these must be the device's; none: any.
  public var architectures: [String]
  /// `512Mi`
  public var memory: String?
  /// `10Gi`
  public var storage: String?
  /// Each of them must match.
  public var rules: [EligibilityRule]

  /// A rule about the properties or the labels of a device.
  public struct EligibilityRule: Sendable, Hashable {
    /// About the reported properties.
    public var properties: Selector?
    /// About the reported labels.
    public var labels: Selector?
  }

  /// Expressions that must all match.
  public struct Selector: Sendable, Hashable {
    /// Each must match.
    public var expressions: [Expression]
  }

  /// One expression about one value.
  public struct Expression: Sendable, Hashable {
    /// A JSON Pointer into the properties (RFC 6901), or a label's key.
    public var key: String
    /// How the value is asked.
    public var `operator`: Operator
    /// The values to compare with.
    public var values: [JSONValue]
    /// What elements of an array are asked for.
    public var items: [Expression]
  }

  /// The operators that the specification lists.
  public enum Operator: String, Sendable, Hashable, CaseIterable {
    /// It is one of the values.
    case `in` = "In"
    /// It is none of the values, or not there.
    case notIn = "NotIn"
    /// It is there.
    case exists = "Exists"
    /// It is not there.
    case doesNotExist = "DoesNotExist"
    /// It is a number above the one given.
    case greater = "Gt"
    /// It is a number below the one given.
    case less = "Lt"
    /// Each expression about items has an element that matches.
    case containsAll = "ContainsAll"
    /// An element matches all expressions about items.
    case containsAny = "ContainsAny"
  }

  init(_ members: [String: JSONValue], in parent: inout MemberReader) {
    var reader = MemberReader(members, at: parent.field("deviceConstraints"))
    var capacity = MemberReader(
      reader.object("capacityRequirements") ?? [:], at: reader.field("capacityRequirements"))
    let hasCPU = capacity.rest["cpu"] != nil
    var cpu = MemberReader(capacity.object("cpu") ?? [:], at: capacity.field("cpu"))
    if hasCPU, cpu.rest["cores"] == nil { cpu.note("cores", "is missing") }
    cores = cpu.number("cores")
    architectures = (cpu.array("architectures") ?? []).compactMap(\.string)
    memory = capacity.string("memory")
    storage = capacity.string("storage")
    if let memory, Self.bytes(memory) == nil { capacity.note("memory", "is no number with Ki, Mi or Gi") }
    if let storage, Self.bytes(storage) == nil { capacity.note("storage", "is no number with a binary unit") }
    rules =
      reader.objects("eligibilityRules") { rule in
        EligibilityRule(
          properties: Self.selector("propertySelector", &rule, isPointer: true),
          labels: Self.selector("labelSelector", &rule, isPointer: false))
      } ?? []
    parent.add(cpu.faults + capacity.faults + reader.faults)
  }

  private static func selector(_ name: String, _ reader: inout MemberReader, isPointer: Bool) -> Selector? {
    guard let members = reader.object(name) else { return nil }
    var selector = MemberReader(members, at: reader.field(name))
    let expressions = Self.expressions(&selector, isPointer: isPointer)
    reader.add(selector.faults)
    return Selector(expressions: expressions)
  }

  private static func expressions(_ reader: inout MemberReader, isPointer: Bool) -> [Expression] {
    if reader.rest["matchExpressions"] == nil { reader.note("matchExpressions", "is missing") }
    return reader.objects("matchExpressions") { one in
      let key = one.requiredString("key")
      if isPointer, !key.isEmpty, !key.hasPrefix("/") { one.note("key", "is no JSON Pointer; it begins with a slash") }
      if one.rest["operator"] == nil { one.note("operator", "is missing") }
      // A rule with an operator that is not known matches nothing: it is noted, and the document is refused.
      let name = one.enumerated("operator", Operator.self) ?? .exists
      let values = one.array("values") ?? []
      if [.in, .notIn, .greater, .less].contains(name), values.isEmpty { one.note("values", "is missing or empty") }
      if [.greater, .less].contains(name), values.count != 1 || values[0].double == nil, !values.isEmpty {
        one.note("values", "has to be one number")
      }
      var items: [Expression] = []
      if [.containsAll, .containsAny].contains(name) {
        if let members = one.object("itemSelector") {
          var selector = MemberReader(members, at: one.field("itemSelector"))
          items = expressions(&selector, isPointer: isPointer)
          one.add(selector.faults)
        } else {
          one.note("itemSelector", "is missing")
        }
      }
      return Expression(key: key, operator: name, values: values, items: items)
    } ?? []
  }

  /// Bytes, from a number with a binary unit; nil if it is none.
  static func bytes(_ text: String) -> Double? {
    let units = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    guard MemberReader.isQuantity(text, units: units),
      let power = units.firstIndex(where: { text.hasSuffix($0) }),
      let number = Double(text.dropLast(2).filter { $0 != " " })
    else { return nil }
    return (0...power).reduce(number) { value, _ in value * 1024 }
  }
}
