import DesiredState
import DesiredStateSupport
import HTTPBackendSupport
import Subprocess

/// Git's protocol over SSH (gitprotocol-pack(5), SSH transport), by the ssh program as git itself does it: host keys,
/// agents, hardware keys and jump hosts are used as OpenSSH uses them. It never asks a question.
final class SSHGitTransport: GitTransport {
  private let arguments: [String]
  private let path: String
  private let source: String
  let channel: String?
  var isStateless: Bool { false }

  /// The settings that are honoured.
  static let settings: Set<BackendSettings.Key> = [
    TransportSettings.Setting.sshKey.key, TransportSettings.Setting.knownHosts.key,
    BackendSetting<Bool>.acceptsNewHostKeys.key,
  ]

  /// - Throws: ``SourceAddressError`` if the URL or a setting cannot be used.
  init(url: String, source: String, settings: BackendSettings) throws(SourceAddressError) {
    let (user, host, port, path) = try Self.parse(url)
    self.path = path
    self.source = source
    // ssh_config(5). BatchMode: no question is ever asked. Nothing is forwarded, shared with other connections, or run
    // here beside the connection.
    var options = [
      "BatchMode=yes", "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "ControlMaster=no",
      "ControlPath=none", "PermitLocalCommand=no", "SendEnv=GIT_PROTOCOL",
      // A line that went dead is noticed, also where nothing else keeps a time.
      "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=3",
    ]
    let acceptsNew = settings[.acceptsNewHostKeys] == true
    options.append("StrictHostKeyChecking=\(acceptsNew ? "accept-new" : "yes")")
    if let file = settings[.knownHosts] {
      // It is made when the first key is put into it.
      if !acceptsNew || FileStatus(at: file) != nil { try TransportSettings.checkReadable(file, as: .knownHosts) }
      options += ["UserKnownHostsFile=\(Self.configurationValue(file))", "GlobalKnownHostsFile=none"]
    }
    if let file = settings[.sshKey] {
      try TransportSettings.checkReadable(file, as: .sshKey)
      options += ["IdentityFile=\(Self.configurationValue(file))", "IdentitiesOnly=yes"]
    }
    var arguments = ["-T"] + options.flatMap { ["-o", $0] }
    if let port { arguments += ["-p", "\(port)"] }
    if let user { arguments += ["-l", user] }
    self.arguments = arguments + ["--", host]
    channel = "SSH host key of \(host)"
  }

  /// A value as a configuration line has it: with quotes, in which only a quote and a backslash are special, and with
  /// percent signs doubled (ssh_config(5), TOKENS).
  private static func configurationValue(_ file: String) -> String {
    "\"" + file.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("%", with: "%%") + "\""
  }

  private static func parse(
    _ url: String
  ) throws(SourceAddressError) -> (user: String?, host: String, port: Int?, path: String) {
    let rest = url.dropFirst("ssh://".utf8.count)
    var authority = rest.prefix { $0 != "/" }
    guard var path = PercentEncoding.decode(rest.dropFirst(authority.utf8.count).utf8), path.utf8.count > 1,
      !path.utf8.contains(0)
    else {
      throw SourceAddressError("write git+ssh://user@host/path/of/repository.git")
    }
    // As git has it: /~user/… begins in a home directory.
    if path.hasPrefix("/~") { path.removeFirst() }
    var user: String?
    if let at = authority.lastIndex(of: "@") {
      user = PercentEncoding.decode(authority[..<at].utf8)
      guard user?.contains(":") == false else {
        throw SourceAddressError("the URL holds a password; SSH keys are used here: the SSH key, or an agent's")
      }
      authority = authority[authority.index(after: at)...]
    }
    var port: Int?
    if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
      port = Int(authority[authority.index(after: colon)...])
      guard port.map({ (1...65535).contains($0) }) == true else {
        throw SourceAddressError("the port in the URL is not a number from 1 to 65535")
      }
      authority = authority[..<colon]
    }
    let host = authority.hasPrefix("[") ? authority.dropFirst().dropLast() : authority
    let isSafe = !host.isEmpty && !host.hasPrefix("-") && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    guard isSafe, user?.hasPrefix("-") != true else {
      throw SourceAddressError("the host or the user in the URL cannot be used")
    }
    return (user, String(host), port, path)
  }

  func withSession<Value: Sendable>(
    with service: GitService, _ body: @escaping @Sendable (any GitSession) async throws -> Value
  ) async throws -> Value {
    // A path in single quotes is one word to any shell; the quote itself ends them, is escaped, and begins them anew.
    let command = "\(service.rawValue) '\(path.replacing("'", with: "'\\''"))'"
    let answer: (value: Result<Value, any Error>, status: TerminationStatus, words: [UInt8])
    do {
      // When the task is cancelled, the process is killed by its own id. A Ctrl-C is for this program alone: it says then
      // that it was interrupted, and not that ssh was.
      var options = PlatformOptions()
      options.processGroupID = 0
      let result = try await Subprocess.run(
        .name("ssh"), arguments: Arguments(arguments + [command]),
        environment: .inherit.updating([
          "GIT_PROTOCOL": service == .uploadPack ? "version=2" : nil, "LC_ALL": "C",
        ]),
        platformOptions: options, input: .inputWriter, output: .sequence, error: .bytes(limit: 1 << 20)
      ) { execution in
        let value: Result<Value, any Error>
        do {
          value = .success(
            try await body(
              SSHGitSession(
                input: execution.standardInputWriter,
                packets: PacketReader(
                  SSHByteSource(execution.standardOutput.makeAsyncIterator()), endsWithAnswer: false))))
          try? await execution.standardInputWriter.finish()
        } catch {
          value = .failure(error)
          // It may be in the middle of an answer that is not read any more.
          try? await execution.standardInputWriter.finish()
          await execution.teardown(using: [.gracefulShutDown(allowedDurationToNextStep: .milliseconds(500))])
        }
        return value
      }
      answer = (result.closureResult, result.terminationStatus, result.standardError)
    } catch let error as SubprocessError {
      try Task.checkCancellation()
      let isMissing = error.code == .executableNotFound
      throw BackendError(
        .unreachable, "the ssh program cannot be run (\(error))\(isMissing ? "; install the OpenSSH client" : "")")
    }
    do {
      return try answer.value.get()
    } catch {
      try Task.checkCancellation()
      throw explain(error, service, answer.status, answer.words)
    }
  }

  /// What went wrong, by what ssh or the program at the other end said of it.
  private func explain(
    _ error: any Error, _ service: GitService, _ status: TerminationStatus, _ words: [UInt8]
  ) -> any Error {
    guard var error = error as? GitProtocolError else { return error }
    // Forges put their own words around what they say: "remote:", and lines of equals signs.
    let lines = String(decoding: words.suffix(4096), as: UTF8.self).split(whereSeparator: \.isNewline)
      .map { $0.hasPrefix("remote:") ? $0.dropFirst(7) : $0 }
      .filter { $0.contains(where: { $0.isLetter || $0.isNumber }) }.map(String.init)
    func has(_ text: String) -> Bool { lines.contains { $0.contains(text) } }
    let said = lines.suffix(3).joined(separator: "; ")
    // What the other end said in the protocol itself says more than how the program ended.
    guard error.code == .violation, case .exited(let code) = status, code != 0, !said.isEmpty else {
      if error.remarks.isEmpty { error.remarks = lines.suffix(3) }
      return error
    }
    let reason: (code: BackendError.Code, advice: String)
    if has("Host key verification failed") || has("HOST IDENTIFICATION HAS CHANGED") {
      reason = (.tlsUntrusted, "Its host key is not the one in the known_hosts file; put the right one there.")
    } else if has("Permission denied (") {
      reason = (.unauthorized, "It does not take this device's key; have the public one added there.")
    } else if code != 255, service == .receivePack {
      reason = (.forbidden, "It takes no push with this key.")
    } else {
      reason = (
        .unreachable, "Check the address, that the repository is there, and that this device's key may read it."
      )
    }
    return BackendError(
      reason.code, "\(source) says \(quoted(said, limit: 300)). \(reason.advice)",
      isRetryable: reason.code == .unreachable)
  }
}

private struct SSHGitSession: GitSession {
  let input: StandardInputWriter
  // One stream for all answers of the connection.
  let packets: PacketReader

  func advertisement() async throws -> PacketReader { packets }

  func ask(_ request: [UInt8]) async throws -> PacketReader {
    _ = try await input.write(request)
    return packets
  }
}

private final class SSHByteSource: ByteSource {
  private var output: SubprocessOutputSequence.Iterator

  init(_ output: SubprocessOutputSequence.Iterator) { self.output = output }

  func next() async throws -> [UInt8]? {
    while let buffer = try await output.next() {
      let bytes = buffer.withUnsafeBytes { Array($0) }
      if !bytes.isEmpty { return bytes }
    }
    return nil
  }
}
