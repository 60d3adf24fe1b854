import CGit2
import DesiredState
import DesiredStateSupport
import FoundationEssentials
import Glibc

/// Who makes a commit, and when.
struct CommitAuthor: Sendable {
  /// A name with an address.
  struct Person: Sendable, Equatable {
    let name: String
    let mail: String

    init(name: String, mail: String = "desired-state@localhost") {
      // What would end the field is left out.
      func safe(_ text: String) -> String { text.filter { !"<>\n\r\0".contains($0) } }
      self.name = safe(name).isEmpty ? "desired-state" : safe(name)
      self.mail = safe(mail)
    }

    /// The person that a setting names as `Name <mail>`; nil if it is not set.
    ///
    /// - Throws: ``SourceAddressError`` if it is written otherwise.
    init?(settings: BackendSettings) throws(SourceAddressError) {
      guard let text = settings[.author] else { return nil }
      let parts = text.split(separator: "<", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(String(parts[0].reversed().drop { $0 == " " }).reversed())
      guard parts.count == 2, !name.isEmpty, parts[1].hasSuffix(">"),
        !parts[1].dropLast().contains(where: { "<> ".contains($0) }),
        !text.contains(where: \.isNewline)
      else {
        throw SourceAddressError("\(BackendSetting<String>.author.key) is written as 'Name <mail>'")
      }
      self.init(name: name, mail: String(parts[1].dropLast()))
    }

    /// The person that git itself would name: by the environment, or by the configuration of the user or the machine
    /// (git-var(1), GIT_AUTHOR_IDENT). Nil if it would ask.
    static var configured: Person? {
      func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
      let configuration = try? Configuration()
      guard let name = variable("GIT_AUTHOR_NAME") ?? configuration?.text("user.name"),
        let mail = variable("GIT_AUTHOR_EMAIL") ?? configuration?.text("user.email")
      else { return nil }
      return Person(name: name, mail: mail)
    }
  }

  let person: Person
  let time: Date

  init(_ person: Person, time: Date) {
    self.person = person
    self.time = time
  }

  /// As a commit has it.
  var line: String { "\(person.name) <\(person.mail)> \(Int64(time.timeIntervalSince1970)) +0000" }
}

/// git's configuration of the user and of the machine.
private final class Configuration {
  private let handle: OpaquePointer

  init() throws(LibGit2Error) { handle = try LibGit2.make("read git's configuration") { git_config_open_default($0) } }

  deinit { git_config_free(handle) }

  func text(_ name: String) -> String? {
    var buffer = git_buf()
    defer { git_buf_dispose(&buffer) }
    guard git_config_get_string_buf(&buffer, handle, name) == 0 else { return nil }
    return String(decoding: ObjectStore.bytes(buffer), as: UTF8.self)
  }
}
