import CCurl
import DesiredStateSupport
import FoundationEssentials

/// What the files of a TLS configuration held when they were last read and made sense together.
///
/// `@unchecked Sendable` is sound because nothing in it changes after it was made.
final class TLSMaterial: @unchecked Sendable {
  /// Bytes that libcurl may point to for as long as this object lives (CURLOPT_CAINFO_BLOB(3), CURL_BLOB_NOCOPY).
  final class Bytes {
    let buffer: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8]) {
      buffer = .allocate(byteCount: max(bytes.count, 1), alignment: 1)
      buffer.copyBytes(from: bytes)
    }

    deinit { buffer.deallocate() }
  }

  fileprivate(set) var trust: Bytes?
  fileprivate(set) var proxyTrust: Bytes?
  fileprivate(set) var certificate: Bytes?
  fileprivate(set) var key: Bytes?
  /// From when and until when the client certificate is valid, in seconds since 1970.
  fileprivate(set) var certificateBegin: Int?
  fileprivate(set) var certificateExpiry: Int?

  fileprivate init() {}
}

/// The files that a TLS configuration names, read when they are first needed and again when they change.
///
/// A certificate and its key are renewed one after the other, and a file is not always replaced at once: as long as the
/// new ones make no sense, the old ones go on.
final class TLSFiles: Sendable {
  private struct State: Sendable {
    var material: TLSMaterial?
    var watch: FileWatch
  }

  private let tls: HTTPTLSConfiguration
  private let proxyTrust: HTTPTrustRoots
  private let state: LockedValue<State>

  init(_ configuration: HTTPTransportConfiguration) {
    tls = configuration.tls
    if case .proxy(let proxy) = configuration.proxy { proxyTrust = proxy.trust } else { proxyTrust = .system }
    let paths =
      [tls.trust.file, proxyTrust.file, tls.clientCertificate?.certificateFile, tls.clientCertificate?.keyFile]
      .compactMap(\.self)
    state = LockedValue(State(watch: FileWatch(paths)))
  }

  /// The files' present contents. Blocks while they are read; called on an engine's thread.
  ///
  /// - Throws: `configuration` if they make no sense and never did.
  func current() throws(HTTPTransportError) -> TLSMaterial {
    try state.withLock { (state) throws(HTTPTransportError) -> TLSMaterial in
      if state.material == nil { state.watch.lookAgain() }
      guard let found = state.watch.changed() else {
        if let material = state.material { return material }
        return try read()
      }
      do throws(HTTPTransportError) {
        let material = try read()
        state.material = material
        state.watch.didRead(found)
        return material
      } catch {
        guard let material = state.material else { throw error }
        return material
      }
    }
  }

  /// Forgets when the files were last looked at.
  func lookAgain() { state.withLock { $0.watch.lookAgain() } }

  private func read() throws(HTTPTransportError) -> TLSMaterial {
    let material = TLSMaterial()
    material.trust = try authorities(tls.trust, "The trusted authorities")
    material.proxyTrust = try authorities(proxyTrust, "The proxy's trusted authorities")
    if let client = tls.clientCertificate {
      guard let certificate = bytes(client.certificateFile), let key = bytes(client.keyFile) else {
        throw Self.unusable("cannot be read")
      }
      var begin: Int64 = 0
      var expiry: Int64 = 0
      let fits = ccurl_pem_pair(
        certificate, certificate.count, key, key.count, client.passphrase?.value ?? "", &begin, &expiry)
      guard fits != 0 else {
        throw Self.unusable(
          "cannot be used. Check that both are PEM, belong together, and that the passphrase is right")
      }
      material.certificate = TLSMaterial.Bytes(certificate)
      material.key = TLSMaterial.Bytes(key)
      material.certificateBegin = Int(begin)
      material.certificateExpiry = Int(expiry)
    }
    return material
  }

  private func authorities(_ trust: HTTPTrustRoots, _ name: String) throws(HTTPTransportError) -> TLSMaterial.Bytes? {
    guard let path = trust.file else { return nil }
    guard var pem = bytes(path) else { throw .configuration("\(name) cannot be read: \(path).") }
    if SPIFFEBundle.isOne(pem) {
      do throws(SPIFFEBundle.Fault) {
        // In a map of several, those of the server that is expected count.
        pem = try SPIFFEBundle(parsing: pem, trustDomain: tls.expectedServerIdentity?.trustDomain).pem
      } catch {
        throw .configuration("\(name) \(error): \(path).")
      }
    }
    guard ccurl_pem_certificates(pem, pem.count) > 0 else {
      throw .configuration("\(name) hold no certificate in PEM form, or half of one: \(path).")
    }
    return TLSMaterial.Bytes(pem)
  }

  private func bytes(_ path: String) -> [UInt8]? { (try? Files.read(path, limit: 16 << 20)) ?? nil }

  private static func unusable(_ why: String) -> HTTPTransportError {
    .configuration("The client certificate or the client certificate's key \(why).")
  }
}

extension HTTPTrustRoots {
  fileprivate var file: String? {
    switch self {
    case .system: nil
    case .systemAnd(let file), .only(let file): file
    }
  }
}
