import Crypto
import FoundationEssentials
import GRPCCore
import Glibc

extension FleetService {
  /// The digest of the manifest, computed again when the file has changed.
  func revision(of device: String) -> String? {
    guard let file = try? path("manifest.json", of: device), let stamp = Self.stamp(file) else { return nil }
    if let known = known.withLockedValue({ $0[device] }), known.stamp == stamp { return known.revision }
    guard let bytes = try? Data(contentsOf: URL(filePath: file)) else { return nil }
    let hex = SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    known.withLockedValue { $0[device] = (stamp, "sha256:\(hex)") }
    return "sha256:\(hex)"
  }

  func stamp(of device: String) -> String {
    (try? path("manifest.json", of: device)).flatMap(Self.stamp) ?? ""
  }

  private static func stamp(_ file: String) -> String? {
    var status = stat()
    guard fstatat(AT_FDCWD, file, &status, 0) == 0 else { return nil }
    return "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }

  /// Sends a file in pieces.
  func send(
    _ path: String, of device: String, from offset: UInt64, _ write: (Data) async throws -> Void
  ) async throws {
    let whole = try self.path(path, of: device)
    guard let file = fopen(whole, "re") else { throw RPCError(code: .notFound, message: "no such file") }
    defer { fclose(file) }
    fseek(file, Int(clamping: offset), SEEK_SET)
    let isEndless = conduct.withLockedValue {
      $0.reads[path, default: 0] += 1
      return $0.endless == path
    }
    var buffer = [UInt8](repeating: 0, count: Self.piece)
    while true {
      try Task.checkCancellation()
      var count = fread(&buffer, 1, buffer.count, file)
      if count == 0, isEndless { count = buffer.count }
      guard count > 0 else { return }
      conduct.withLockedValue { $0.bytes += UInt64(count) }
      try await write(Data(buffer[..<count]))
    }
  }
}
