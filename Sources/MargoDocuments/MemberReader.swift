import DesiredStateSupport

/// Takes the members of a JSON object one by one, and notes their faults.
struct MemberReader {
  private var members: [String: JSONValue]
  private let path: String
  private(set) var faults: [MargoDocumentError.Fault] = []

  init(_ members: [String: JSONValue], at path: String) {
    self.members = members
    self.path = path
  }

  /// The members that were not taken.
  var rest: [String: JSONValue] { members }

  mutating func note(_ field: String, _ message: String) {
    faults.append(.init(field: self.field(field), message: message))
  }

  mutating func add(_ faults: [MargoDocumentError.Fault]) { self.faults += faults }

  func field(_ name: String) -> String { path.isEmpty || name.isEmpty ? path + name : "\(path).\(name)" }

  mutating func take(_ name: String) -> JSONValue? { members.removeValue(forKey: name) }

  /// A member of a kind; nil if it is not there, and with a fault noted if it is of another kind.
  private mutating func take<Value>(
    _ name: String, orNote fault: String, _ read: (JSONValue) -> Value?
  ) -> Value? {
    guard let member = take(name) else { return nil }
    guard let value = read(member) else {
      note(name, fault)
      return nil
    }
    return value
  }

  mutating func string(_ name: String) -> String? { take(name, orNote: "is no string", \.string) }

  /// A string that has to be there, and has to say something.
  mutating func requiredString(_ name: String) -> String {
    guard members[name] != nil else {
      note(name, "is missing")
      return ""
    }
    guard let text = string(name) else { return "" }
    if text.isEmpty { note(name, "is empty") }
    return text
  }

  mutating func boolean(_ name: String) -> Bool? { take(name, orNote: "is neither true nor false", \.boolean) }

  mutating func number(_ name: String) -> Double? { take(name, orNote: "is no number", \.double) }

  mutating func object(_ name: String) -> [String: JSONValue]? { take(name, orNote: "is no object", \.object) }

  mutating func array(_ name: String) -> [JSONValue]? { take(name, orNote: "is no array", \.array) }

  /// Each object of an array, read by a function.
  mutating func objects<Element>(
    _ name: String, _ read: (inout MemberReader) -> Element
  ) -> [Element]? {
    guard let elements = array(name) else { return nil }
    var result: [Element] = []
    for (index, element) in elements.enumerated() {
      guard let members = element.object else {
        note("\(name)[\(index)]", "is no object")
        continue
      }
      var reader = MemberReader(members, at: field("\(name)[\(index)]"))
      result.append(read(&reader))
      faults += reader.faults
    }
    return result
  }

  /// A text out of a list.
  mutating func enumerated<Value: RawRepresentable & CaseIterable>(
    _ name: String, _ type: Value.Type
  ) -> Value? where Value.RawValue == String {
    guard let text = string(name) else { return nil }
    guard let value = Value(rawValue: text) else {
      note(name, Self.wrong(text, type))
      return nil
    }
    return value
  }

  /// Texts out of a list, at least one.
  mutating func enumeration<Value: RawRepresentable & CaseIterable>(
    _ name: String, _ type: Value.Type
  ) -> [Value]? where Value.RawValue == String {
    guard let elements = array(name) else { return nil }
    if elements.isEmpty { note(name, "has none; leave it out, or name one") }
    var result: [Value] = []
    for (index, element) in elements.enumerated() {
      guard let text = element.string else {
        note("\(name)[\(index)]", "is no string")
        continue
      }
      guard let value = Value(rawValue: text) else {
        note("\(name)[\(index)]", Self.wrong(text, type))
        continue
      }
      result.append(value)
    }
    return result
  }

  private static func wrong<Value: RawRepresentable & CaseIterable>(_ text: String, _ type: Value.Type) -> String
  where Value.RawValue == String {
    "is \(quoted(text, limit: 40)), and not one of " + type.allCases.map(\.rawValue).joined(separator: ", ")
  }

  /// Members whose names say that they are a supplier's: `x-<name>-extensions`, each an object.
  mutating func extensions() -> [String: JSONValue] {
    var extensions: [String: JSONValue] = [:]
    for name in members.keys.sorted() where Self.isExtension(name) {
      guard let value = take(name) else { continue }
      if value.object == nil { note(name, "is no object") }
      extensions[name] = value
    }
    return extensions
  }

  /// `x-[a-z][a-z0-9-]*-extensions`
  static func isExtension(_ name: String) -> Bool {
    guard name.hasPrefix("x-"), name.hasSuffix("-extensions"), name.utf8.count > "x--extensions".utf8.count else {
      return false
    }
    let middle = name.utf8.dropFirst(2).dropLast("-extensions".utf8.count)
    func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    return isLetter(middle.first!)
      && middle.allSatisfy {
        isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
      }
  }

  /// Whether a text is a number in front of a binary unit: `64Gi`, or `64 Gi` as the specification's examples have it.
  static func isQuantity(_ text: String, units: [String]) -> Bool {
    guard let unit = units.first(where: { text.hasSuffix($0) }) else { return false }
    var number = text.dropLast(unit.count)
    if number.hasSuffix(" ") { number = number.dropLast() }
    return !number.isEmpty && number.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }
}
