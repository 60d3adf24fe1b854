/// `Accept` and `Accept-Encoding` (RFC 9110 sections 12.5.1 and 12.5.3): what a client takes.
struct Preferences {
  private let weights: [(name: String, weight: Double)]

  init(_ field: String) {
    weights = field.split(separator: ",").map { element in
      let parts = element.split(separator: ";").map { part in
        part.filter { $0 != " " && $0 != "\t" }.lowercased()
      }
      let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) }
      return (parts.first ?? "", weight ?? 1)
    }
  }

  /// Whether the first of these names that the client mentions is one it takes: the most specific name comes first.
  func accepts(_ names: [String]) -> Bool {
    for name in names {
      if let found = weights.first(where: { $0.name == name }) { return found.weight > 0 }
    }
    return false
  }

  /// Whether an `If-None-Match` field (RFC 9110 section 13.1.2) names this entity tag. Ours have no commas.
  static func isMatch(_ field: String?, _ entityTag: String) -> Bool {
    guard let field else { return false }
    return field.split(separator: ",").contains { element in
      let tag = element.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
      let text = String(tag)
      return text == "*" || (text.hasPrefix("W/") ? String(text.dropFirst(2)) : text) == entityTag
    }
  }
}
