import Foundation
import Testing

/// What `make install` installs, from the program under test: a package is the same files in an archive.
@Suite("What is installed", .timeLimit(.minutes(5)))
struct InstallationTests {
  let site = try! Site()
  private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().path

  /// Installs, and returns where.
  private func install() async throws -> String {
    let prefix = site.root + "/usr"
    let run = try await Tool.run(
      Self.repository + "/Scripts/install-program", [Tool.desiredState],
      environment: ["PREFIX": prefix, "DESTDIR": nil, "KEEP_SYMBOLS": "yes"])
    try #require(run.status == 0, "\(run.complaint)")
    return prefix
  }

  private struct Tree: Decodable {
    struct Name: Decodable {
      var kind: String
      var name: String
    }
    struct Argument: Decodable {
      var kind: String
      var names: [Name]?
    }
    struct Command: Decodable {
      var commandName: String
      var subcommands: [Command]?
      var arguments: [Argument]?

      /// The flags of this command and of those below it, by the names of their man pages.
      func flags(_ above: [String] = []) -> [String: [String]] {
        let path = above + [commandName]
        let own = (arguments ?? []).compactMap { $0.names?.first { $0.kind == "long" }?.name }
        return (subcommands ?? []).filter { $0.commandName != "help" }
          .reduce(into: [path.joined(separator: "-"): own]) { result, command in
            result.merge(command.flags(path)) { first, _ in first }
          }
      }
    }
    var command: Command
  }

  private func flags() async throws -> [String: [String]] {
    let text = try await Tool.succeed(Tool.desiredState, ["--experimental-dump-help"])
    return try JSONDecoder().decode(Tree.self, from: Data(text.utf8)).command.flags()
  }

  private func page(_ path: String) async throws -> String {
    try await Tool.succeed("gzip", ["-dc", path]).replacing("\\-", with: "-")
  }

  /// The codes that a type of the library has, by its source.
  private func codes(_ pattern: String, in files: [String]) throws -> Set<String> {
    let regex = try Regex(pattern + #"\(rawValue: "([a-z-]+)"\)"#, as: (Substring, Substring).self)
    let texts = try files.map { try site.read(Self.repository + "/Sources/DesiredState/" + $0) }
    return Set(texts.flatMap { $0.matches(of: regex).map { String($0.output.1) } })
  }

  @Test("What is installed works: man pages with every flag, setting and code; completions; the unit") func installed()
    async throws
  {
    let prefix = try await install()
    try await manual(prefix)
    try await completions(prefix + "/share")
    if FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze") { try await unit(prefix) }
  }

  private func manual(_ prefix: String) async throws {
    let flags = try await flags()
    #expect(flags.count > 20 && (flags["desired-state-follow"] ?? []).count > 40)
    for (command, names) in flags {
      let text = try await page("\(prefix)/share/man/man1/\(command).1.gz")
      for name in names { #expect(text.contains("--\(name)\\fR"), "--\(name) is not in \(command)(1)") }
    }
    let settings = try await page("\(prefix)/share/man/man5/desired-state.conf.5.gz")
    for name in (flags["desired-state-follow"] ?? []) where !["help", "version", "config"].contains(name) {
      #expect(settings.contains("\n\\fB\(name)\\fR"), "\(name) is not in desired-state.conf(5)")
    }
    let whole = try await page("\(prefix)/share/man/man1/desired-state.1.gz")
    for line in try await Tool.succeed(Tool.desiredState, ["explain"]).split(separator: "\n") where !line.hasPrefix(" ")
    {
      #expect(whole.contains("\\fB\(line.prefix { $0 != ":" })\\fR"), "\(line)")
    }
    for command in ["desired-state", "desired-state-follow"] {
      let run = try await Tool.run(
        "man", ["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", "\(prefix)/share/man/man1/\(command).1.gz"],
        environment: ["MANROFFSEQ": ""])
      #expect(run.status == 0 && run.complaint.isEmpty, "\(run.complaint)")
    }
  }

  @Test("Every code of the library is explained, and the page of troubles is as the source") func codesExplained()
    async throws
  {
    let refusals = try codes(
      "= (?:VerificationError.)?Code",
      in: [
        "Verification/VerificationError.swift", "Store/StateStore+Room.swift",
      ])
    let unavailabilities = try codes("= Code", in: ["Contract/BackendError.swift"])
    let parts = try codes("= Part", in: ["Contract/Absence.swift"])
    let store = try codes("= Code", in: ["Store/StoreError.swift"])
    #expect(refusals.count > 22 && unavailabilities.count > 8 && parts.count > 3 && store.count > 6)
    struct Explanation: Decodable {
      var code: String
      var kind: String
    }
    let lines = try await Tool.succeed(Tool.desiredState, ["explain", "--json"]).split(separator: "\n")
    let explained = try lines.map { try JSONDecoder().decode(Explanation.self, from: Data($0.utf8)) }
    for (kind, codes) in [
      ("rejection", refusals), ("unavailability", unavailabilities), ("absence", parts), ("store", store),
    ] {
      #expect(Set(explained.filter { $0.kind == kind }.map(\.code)) == codes)
    }
    let page = try site.read(Self.repository + "/Documentation/Troubleshooting.md")
    for code in explained.map(\.code) { #expect(page.contains("| `\(code)` |"), "\(code)") }
    let fresh = try await Tool.succeed(Tool.desiredState, ["explain", "--markdown"])
    #expect(page == fresh, "make explained writes Documentation/Troubleshooting.md anew")
    let one = try await Tool.succeed(Tool.desiredState, ["explain", "no-space"])
    #expect(one.contains("--max-store"))
    #expect(try await Tool.run(Tool.desiredState, ["explain", "no-such-code"]).status == 64)
  }

  /// Shells take them, and they know every flag of follow.
  private func completions(_ share: String) async throws {
    let flags = try await flags()["desired-state-follow"] ?? []
    for (shell, file) in [
      ("bash", "bash-completion/completions/desired-state"), ("zsh", "zsh/vendor-completions/_desired-state"),
      ("fish", "fish/vendor_completions.d/desired-state.fish"),
    ] {
      let text = try site.read("\(share)/\(file)")
      for flag in flags where flag != "version" { #expect(text.contains(flag), "\(flag) for \(shell)") }
      let isThere = try await Tool.run("sh", ["-c", "command -v \(shell)"]).status == 0
      if isThere { try await Tool.succeed(shell, ["-n", "\(share)/\(file)"]) }
    }
  }

  /// systemd finds no fault in it, and little exposed.
  private func unit(_ prefix: String) async throws {
    let unit = prefix + "/lib/systemd/system/desired-state@.service"
    let verified = try await Tool.run(
      "systemd-analyze",
      ["verify", "--man=no", unit.replacing("@.", with: "@press.")].map {
        $0.hasPrefix("/") ? unit : $0
      })
    let faults = verified.complaint.split(separator: "\n").filter {
      // Keys of systemd 254 and newer.
      $0.contains("desired-state") && !$0.contains("RestartSteps") && !$0.contains("RestartMaxDelaySec")
    }
    #expect(verified.status == 0 && faults.isEmpty, "\(verified)")
    let exposure = try await Tool.run(
      "systemd-analyze", ["security", "--offline=true", "--threshold=20", "--no-pager", unit])
    #expect(exposure.status == 0, "\(exposure.output.suffix(300))")
  }

  @Test("The pipelines of Examples/ci and the example of settings use what there is") func examples() async throws {
    let flags = Set(try await flags()["desired-state-publish"] ?? [])
    for file in ["github-actions.yml", "gitlab-ci.yml"] {
      let text = try site.read(Self.repository + "/Examples/ci/" + file)
      let commands = text.split(separator: "desired-state publish ").dropFirst().map { $0.prefix { $0 != "\n" } }
      #expect(commands.count == 2)
      for name in text.matches(of: /\ --([a-z][a-z-]+)/).map({ String($0.1) })
      where !["format", "trust"].contains(name) {
        #expect(flags.contains(name), "--\(name) in \(file)")
      }
    }
    let example = try site.read(Self.repository + "/Packaging/example.conf").replacing("\n# ", with: "\n")
      .split(separator: "\n").filter { $0.contains(" = ") }.joined(separator: "\n")
    try site.write(example, to: "example.conf")
    let run = try await Tool.run(Tool.desiredState, ["check", "--config", site.root + "/example.conf"])
    #expect(!run.output.contains("no setting") && !run.output.contains("invalid"), "\(run)")
  }
}
