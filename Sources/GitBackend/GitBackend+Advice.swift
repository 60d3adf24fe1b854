import DesiredState
import DesiredStateSupport
import Glibc

extension GitBackend {
  /// What to write instead of an address that means a Git repository and does not say so: `git@host:path`, `ssh:`, a web
  /// address that ends in `.git`, the path of a bare repository. Nil for every other address.
  public static func advice(on address: String) -> String? {
    if let (host, path) = remoteCopyForm(address) {
      return "\(quoted(address)) is an address as scp has it; write git+ssh://\(host)/\(path)"
    }
    if address.hasPrefix("ssh://") {
      return "a Git repository over SSH is written as git+\(printable(address, limit: 200))"
    }
    if address.hasPrefix("git://") {
      return "the protocol 'git:' shows nobody who answers and is not spoken here; use git+https: or git+ssh:"
    }
    for scheme in ["https://", "http://"] where address.hasPrefix(scheme) {
      let path = address.prefix { $0 != "?" && $0 != "#" }
      guard path.hasSuffix(".git") || path.hasSuffix(".git/") else { return nil }
      return
        "a Git repository over HTTP is written as git+\(printable(address, limit: 200)); without git+, a drop is read"
    }
    guard let parsed = try? SourceAddress(address), parsed.scheme == "file", let path = try? parsed.filePath(),
      isBareRepository(path)
    else { return nil }
    let full = realpath(path, nil).map { pointer in
      defer { free(pointer) }
      return String(cString: pointer)
    }
    let url = (full ?? path).utf8.map { byte in
      byte > 0x20 && byte < 0x7f && !"%?#".utf8.contains(byte)
        ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
    return "\(quoted(path)) is a Git repository; to follow what is committed to it, write git+file://\(url)"
  }

  /// `user@host:path`: a host without a slash before the first colon (git-clone(1), scp-like syntax).
  private static func remoteCopyForm(_ address: String) -> (host: Substring, path: Substring)? {
    guard let colon = address.firstIndex(of: ":"), case let host = address[..<colon], !host.contains("/"),
      host.contains("@"), case let path = address[address.index(after: colon)...], !path.hasPrefix("//"), !path.isEmpty
    else { return nil }
    return (host, path.hasPrefix("/") ? path.dropFirst() : path)
  }

  private static func isBareRepository(_ path: String) -> Bool {
    FileStatus(at: Files.join(path, "HEAD")) != nil && Files.isDirectory(Files.join(path, "objects"))
      && Files.isDirectory(Files.join(path, "refs"))
  }
}
