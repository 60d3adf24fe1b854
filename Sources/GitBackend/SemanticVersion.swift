/// A version of the form `1.2.3-rc.1+build` (Semantic Versioning 2.0.0), as tags name releases: a `v` may come first,
/// and missing numbers are 0.
struct SemanticVersion: Sendable, Hashable {
  let numbers: [UInt64]
  /// Without the hyphen, split at the dots; empty for a release.
  let prerelease: [String]

  /// Nil if the text is not a version.
  init?(_ text: some StringProtocol) {
    let text = String(text.first == "v" || text.first == "V" ? String(text.dropFirst()) : String(text))
    // Build metadata does not count in the order (section 10).
    let core = text.prefix { $0 != "+" }
    let hyphen = core.firstIndex(of: "-") ?? core.endIndex
    let parts = core[..<hyphen].split(separator: ".", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(part) : nil }
    guard (1...3).contains(parts.count), numbers.count == parts.count else { return nil }
    self.numbers = numbers + Array(repeating: 0, count: 3 - numbers.count)
    prerelease = core[hyphen...].dropFirst().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if hyphen < core.endIndex, prerelease.contains("") || prerelease.isEmpty { return nil }
  }

  init(_ numbers: [UInt64]) {
    self.numbers = numbers
    prerelease = []
  }
}

extension SemanticVersion: Comparable {
  /// Section 11: numbers first, a pre-release before its release, its parts one by one.
  static func < (one: SemanticVersion, other: SemanticVersion) -> Bool {
    if one.numbers != other.numbers { return one.numbers.lexicographicallyPrecedes(other.numbers) }
    if one.prerelease.isEmpty || other.prerelease.isEmpty {
      return !one.prerelease.isEmpty && other.prerelease.isEmpty
    }
    for (left, right) in zip(one.prerelease, other.prerelease) where left != right {
      switch (UInt64(left), UInt64(right)) {
      case (let left?, let right?): if left != right { return left < right }
      case (_?, nil): return true
      case (nil, _?): return false
      default: return left.utf8.lexicographicallyPrecedes(right.utf8)
      }
    }
    return one.prerelease.count < other.prerelease.count
  }
}

/// A range of versions as `ref=semver:` has it: `>=1.2 <2`, `^1.4`, `~2.0.1`, `1.x`, `*`, alternatives between `||`.
///
/// Pre-releases are in a range only if it names one.
struct VersionRange: Sendable, Equatable {
  private enum Relation: String, CaseIterable {
    case atLeast = ">="
    case atMost = "<="
    case above = ">"
    case below = "<"
    case equal = "="
  }
  private struct Bound: Equatable {
    let relation: Relation
    let version: SemanticVersion
  }
  private let alternatives: [[Bound]]

  /// Nil if the text is not a range.
  init?(_ text: String) {
    var alternatives: [[Bound]] = []
    for alternative in text.split(separator: "||", omittingEmptySubsequences: false) {
      var bounds: [Bound] = []
      // An operator may stand apart from its version.
      var operators = ""
      for word in alternative.split(whereSeparator: { $0 == " " || $0 == "," }) {
        let word = operators + word
        if word.allSatisfy({ "<>=^~".contains($0) }) {
          operators = word
          continue
        }
        operators = ""
        guard let more = Self.bounds(word) else { return nil }
        bounds += more
      }
      guard operators.isEmpty, !bounds.isEmpty else { return nil }
      alternatives.append(bounds)
    }
    self.alternatives = alternatives
  }

  private static func bounds(_ word: String) -> [Bound]? {
    let sign = word.prefix { "<>=^~".contains($0) }
    var rest = word.dropFirst(sign.count)
    if rest.first == "v" { rest = rest.dropFirst() }
    // The given ones of the three numbers; `x` and `*` stand for the rest.
    let given = rest.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
    let known = given.prefix { !["x", "X", "*"].contains($0) }
    guard
      let version = known.isEmpty
        ? SemanticVersion([0, 0, 0])
        : SemanticVersion(
          known.count == given.count ? rest : rest.prefix(known.joined(separator: ".").count))
    else { return nil }
    func below(_ index: Int) -> Bound {
      var numbers = version.numbers
      numbers[index] += 1
      for later in numbers.indices where later > index { numbers[later] = 0 }
      return Bound(relation: .below, version: SemanticVersion(numbers))
    }
    let start = Bound(relation: .atLeast, version: version)
    guard !known.isEmpty else { return ["", "=", ">=", "^", "~"].contains(sign) ? [start] : nil }
    switch sign {
    case "", "=":
      return known.count == 3 ? [Bound(relation: .equal, version: version)] : [start, below(known.count - 1)]
    case "~": return [start, below(min(known.count - 1, 1))]
    // The first number that is not 0 stays, as far as it is given.
    case "^": return [start, below(min(version.numbers.firstIndex { $0 != 0 } ?? 2, known.count - 1))]
    case "<=": return known.count == 3 ? [Bound(relation: .atMost, version: version)] : [below(known.count - 1)]
    case ">":
      guard known.count < 3 else { return [Bound(relation: .above, version: version)] }
      return [Bound(relation: .atLeast, version: below(known.count - 1).version)]
    default: return Relation(rawValue: String(sign)).map { [Bound(relation: $0, version: version)] }
    }
  }

  func contains(_ version: SemanticVersion) -> Bool {
    alternatives.contains { bounds in
      guard version.prerelease.isEmpty || bounds.contains(where: { !$0.version.prerelease.isEmpty }) else {
        return false
      }
      return bounds.allSatisfy { bound in
        switch bound.relation {
        case .atLeast: version >= bound.version
        case .atMost: version <= bound.version
        case .above: version > bound.version
        case .below: version < bound.version
        case .equal: version == bound.version
        }
      }
    }
  }

  /// The newest of these names that is in the range. Of two names for one version, such as `1.0` and `v1.0.0`, the one
  /// that is later in the alphabet.
  func newest(of names: some Sequence<String>) -> String? {
    var best: (name: String, version: SemanticVersion)?
    for name in names {
      guard let version = SemanticVersion(name), contains(version) else { continue }
      if let best, version < best.version || version == best.version && name < best.name { continue }
      best = (name, version)
    }
    return best?.name
  }
}
