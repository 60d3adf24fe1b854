import DesiredStateSupport

/// What a repository's configuration says of its format (gitrepository-layout(5), repository-version).
struct RepositoryFormat: Sendable {
  /// `core.repositoryformatversion`.
  private(set) var version = 0
  /// `extensions.*`, in lower case.
  private(set) var extensions: [String: String] = [:]

  /// Reads a configuration (git-config(1), syntax). Nothing that it includes is read: git does not look for a format there
  /// either.
  init(_ configuration: [UInt8]) {
    var section = ""
    for line in String(decoding: configuration, as: UTF8.self).split(whereSeparator: \.isNewline) {
      var line = line.drop { $0.isWhitespace }
      if line.hasPrefix("[") {
        let end = line.firstIndex(of: "]") ?? line.endIndex
        section = line[line.index(after: line.startIndex)..<end].lowercased().filter { !$0.isWhitespace }
        // A variable may follow on the same line.
        line = end == line.endIndex ? "" : line[line.index(after: end)...].drop { $0.isWhitespace }
      }
      guard !line.isEmpty, !line.hasPrefix("#"), !line.hasPrefix(";"), ["core", "extensions"].contains(section) else {
        continue
      }
      let equals = line.firstIndex(of: "=") ?? line.endIndex
      let name = line[..<equals].lowercased().filter { !$0.isWhitespace }
      let value = line[equals...].dropFirst().prefix { !"#;".contains($0) }.lowercased()
        .filter { !$0.isWhitespace && $0 != "\"" }
      if section == "extensions" {
        extensions[name] = value
      } else if name == "repositoryformatversion" {
        version = Int(value) ?? .max
      }
    }
  }

  /// Those that change nothing about how references and objects are kept, or that libgit2 reads.
  private static let harmless: Set<String> = [
    "noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees",
  ]

  /// That references and objects are kept as libgit2 reads and writes them.
  func check() throws(RepositoryDirectory.Refusal) {
    func refuse(_ reason: String) -> RepositoryDirectory.Refusal {
      RepositoryDirectory.Refusal(code: .unsupported, message: reason)
    }
    guard version <= 1 else {
      throw refuse("its format has version \(version), and only 0 and 1 are known here")
    }
    for (name, value) in extensions.sorted(by: { $0.key < $1.key }) where !Self.harmless.contains(name) {
      switch (name, value) {
      case ("objectformat", "sha1"), ("refstorage", "files"), ("compatobjectformat", _): continue
      case ("objectformat", _):
        throw refuse(
          "it names its objects by \(quoted(value)) and not by SHA-1 (extensions.objectFormat), which cannot be read or written here"
        )
      case ("refstorage", _):
        throw refuse(
          "it keeps its references by \(quoted(value)) (extensions.refStorage), which cannot be read here; 'git refs migrate --ref-format=files' changes it, or follow it over https or ssh"
        )
      default:
        // Before version 1, git itself ignores the extensions that it does not know.
        guard version == 0 else { throw refuse("it has the extension \(quoted(name)), which is not known here") }
      }
    }
  }
}
