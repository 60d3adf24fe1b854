import ArgumentParser
import DesiredState
import DesiredStateSupport
import Glibc
import MargoDocuments
import Subprocess

/// Looks at all that a file of settings names: files, sources, times, directories, commands.
struct ConfigurationCheck {
  private let file: ConfigurationFile
  private let command: FollowCommand?
  private var found: [ConfigurationFile.Problem] = []

  /// - Parameter command: `follow` as the file sets it; nil if the file has faults of its own.
  init(_ file: ConfigurationFile, _ command: FollowCommand?) {
    self.file = file
    self.command = command
  }

  /// In no order.
  func problems() async -> [ConfigurationFile.Problem] {
    var check = self
    await check.files()
    check.directories()
    await check.commands()
    if let command {
      await check.times(command)
      // What cannot be read was told with its line, and would be told again.
      if check.found.isEmpty { check.sources(command) }
    }
    return check.found
  }

  private func settings(_ name: String) -> [ConfigurationFile.Setting] { file.settings.filter { $0.name == name } }

  private mutating func report(_ setting: ConfigurationFile.Setting?, _ message: String) {
    found.append(.init(file: file.path, line: setting?.line, setting: setting?.name, message: message))
  }

  // MARK: - Files

  private mutating func files() async {
    let options = ConfigurationFile.known
    for setting in file.settings {
      guard let value = setting.value, ["file", "allowed-signers"].contains(options[setting.name]?.valueName ?? "")
      else {
        continue
      }
      // ssh makes this one when it meets the first host.
      if setting.name == "known-hosts", !settings("accept-new-host-key").isEmpty, FileStatus(at: value) == nil {
        continue
      }
      do {
        guard let bytes = try Files.read(value, limit: 64 << 20) else {
          report(setting, "\(quoted(value, limit: 200)) is too long")
          continue
        }
        try await contents(of: setting.name, value, bytes)
      } catch {
        report(setting, "\(error)")
      }
    }
  }

  private func contents(of name: String, _ path: String, _ bytes: [UInt8]) async throws {
    switch name {
    case "trust":
      guard try await !KeyFiles.signers(path).entries.isEmpty else {
        throw ValidationError("\(path) names no key; nothing would ever be adopted")
      }
    case "revoked": _ = try await KeyFiles.revoked(path)
    case "capabilities":
      do {
        _ = try DeviceCapabilities.list(parsing: bytes)
      } catch {
        throw ValidationError("\(path): \(error.message)")
      }
    case "tls-ca" where bytes.first == UInt8(ascii: "{"): break
    case "tls-ca", "tls-cert", "tls-key", "proxy-ca", "request-key", "response-key":
      guard String(decoding: bytes, as: UTF8.self).contains("-----BEGIN ") else {
        throw ValidationError("\(path) has nothing in the form PEM")
      }
    default: break
    }
  }

  // MARK: - Directories

  private mutating func directories() {
    for name in ["store", "into"] {
      for setting in settings(name) {
        var path = Files.absolute(setting.value ?? "")
        // What is not there yet is made below what is.
        while FileStatus(at: path) == nil, path != "/" { path = Files.parent(path) }
        if !Files.isDirectory(path) {
          report(setting, "\(quoted(path, limit: 200)) is no directory")
        } else if access(path, W_OK) != 0 {
          report(setting, "\(quoted(path, limit: 200)) cannot be written to: \(String(cString: strerror(errno)))")
        }
      }
    }
  }

  // MARK: - Times, commands, sources

  private mutating func times(_ command: FollowCommand) async {
    do {
      _ = try await command.timing.schedule()
    } catch {
      report(settings("time-zone").first, ConfigurationFile.inSettings("\(error)").text)
    }
  }

  private mutating func commands() async {
    for name in ["on-apply", "on-event", "check"] {
      for setting in settings(name) {
        guard let text = setting.value else { continue }
        if let fault = await fault(of: text) { report(setting, fault) }
      }
    }
  }

  /// Whether a shell can read the command, and a program that it begins with is there.
  private func fault(of text: String) async -> String? {
    let result = try? await Subprocess.run(
      .path("/bin/sh"), arguments: ["-n", "-c", text], output: .discarded, error: .string(limit: 1 << 14))
    if let result, !result.terminationStatus.isSuccess {
      return
        "the shell cannot read this command: \(quoted(result.standardError.split(separator: "\n").first ?? "", limit: 200))"
    }
    let program = text.prefix { $0 != " " && $0 != ";" }
    guard program.hasPrefix("/"), !program.contains(where: { "\"'\\$&|<>".contains($0) }) else { return nil }
    guard FileStatus(at: String(program)) != nil else { return "there is no program \(quoted(program, limit: 200))" }
    return access(String(program), X_OK) == 0 ? nil : "\(quoted(program, limit: 200)) cannot be run; is it executable?"
  }

  private mutating func sources(_ command: FollowCommand) {
    func fault(_ addresses: [String]) -> String? {
      do {
        _ = try command.agent.backends(
          for: addresses, over: command.transport, receipts: command.receipts, store: command.store,
          capabilities: command.capabilities)
        return nil
      } catch {
        return FollowCommand.message(for: error).replacing("Error: ", with: "")
      }
    }
    guard let message = fault(command.sources + command.acknowledgeTo) else { return }
    let (text, names, _) = ConfigurationFile.inSettings(message)
    let named = names.compactMap { settings($0).first }.first
    let address = file.settings.first {
      [ConfigurationFile.source, "acknowledge-to"].contains($0.name) && fault([$0.value ?? ""]) == message
    }
    // A setting of no use is named; every other fault is one of an address.
    report(message.contains("is of no use") ? named ?? address : address ?? named, text)
  }
}
