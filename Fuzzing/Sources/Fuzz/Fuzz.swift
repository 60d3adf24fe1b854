import Glibc

/// What libFuzzer calls with every input. The environment says which reader gets it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target.read(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}

/// SwiftPM has an executable begin at the symbol that is named for its module, so libFuzzer's own `main` is not used.
@_cdecl("Fuzz_main")
public func main(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
  var count = count
  var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments
  return runDriver(&count, &arguments) { fuzz($0, $1) }
}

/// libFuzzer as a library (FuzzerInterface.h).
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ read: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

private let target: Target = {
  let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
  guard let target = Target(rawValue: name) else {
    fatalError("FUZZ_TARGET is one of \(Target.allCases.map(\.rawValue).joined(separator: ", "))")
  }
  return target
}()

/// Every reader of bytes from outside that decides about trust, or that has memory of its own to lose.
enum Target: String, CaseIterable {
  case sshSignature = "ssh-signature"
  case allowedSigners = "allowed-signers"
  case certificate
  case revokedKeys = "revoked-keys"
  case manifest
  case trustUpdate = "trust-update"
  case receipt
  case tar
  case packets
  case pack
  case structuredFields = "structured-fields"

  func read(_ bytes: [UInt8]) {
    switch self {
    case .sshSignature: Read.sshSignature(bytes)
    case .allowedSigners: Read.allowedSigners(bytes)
    case .certificate: Read.certificate(bytes)
    case .revokedKeys: Read.revokedKeys(bytes)
    case .manifest: Read.manifest(bytes)
    case .trustUpdate: Read.trustUpdate(bytes)
    case .receipt: Read.receipt(bytes)
    case .tar: Read.tar(bytes)
    case .packets: Read.packets(bytes)
    case .pack: Read.pack(bytes)
    case .structuredFields: Read.structuredFields(bytes)
    }
  }
}

enum Read {
  /// What must hold whatever the bytes are.
  static func check(_ holds: Bool, _ law: String) {
    guard holds else { fatalError(law) }
  }
}
