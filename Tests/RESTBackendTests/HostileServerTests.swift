import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import Testing

/// What a server, or something between, may do wrong, about each part of a drop.
@Suite struct `A drop behind a hostile server` {
  typealias Target = HostileSite.Target

  struct Fault: Sendable, CustomTestStringConvertible {
    var behaviour: String
    var manifest: Sight
    var signatures: Sight
    var document: Sight
    var testDescription: String { behaviour }

    init(_ behaviour: String, _ manifest: Sight, signatures: Sight? = nil, document: Sight? = nil) {
      self.behaviour = behaviour
      self.manifest = manifest
      self.signatures = signatures ?? manifest
      self.document = document ?? manifest
    }

    func expected(_ target: Target) -> Sight {
      switch target {
      case .manifest: manifest
      case .signatures: signatures
      case .documents: document
      }
    }
  }

  static let faults: [Fault] = [
    // Its own words, and never a state: a captive portal.
    Fault("portal", .unavailable(.protocolViolation)),
    Fault("typed,type=application%2Fxhtml+xml", .unavailable(.protocolViolation)),
    Fault("truncated", .unavailable(.protocolViolation)),
    Fault("endless-header", .unavailable(.protocolViolation)),
    Fault("endless-line", .unavailable(.protocolViolation)),
    Fault("endless-trailer", .unavailable(.protocolViolation)),
    Fault("endless", .refused(.limitExceeded)),
    Fault("announced,size=900000", .refused(.limitExceeded)),
    Fault("bomb,encoding=gzip,size=64", .refused(.limitExceeded)),
    Fault("encoded,encoding=br", .unavailable(.protocolViolation)),
    Fault("cut-gzip", .unavailable(.protocolViolation)),
    Fault("bad-gzip", .unavailable(.protocolViolation)),
    Fault("garbage", .unavailable(.protocolViolation)),
    Fault("empty", .unavailable(.unreachable)),
    Fault("reset", .unavailable(.unreachable)),
    Fault("loop", .unavailable(.protocolViolation)),
    Fault("redirect,to=ftp:||127.0.0.1|x", .unavailable(.protocolViolation)),
    Fault("refuse,code=401", .unavailable(.unauthorized)),
    Fault("refuse,code=403", .unavailable(.forbidden)),
    Fault("refuse,code=404", .absent, signatures: .refused(.signatureMissing), document: .refused(.documentMissing)),
    Fault("refuse,code=410", .absent, signatures: .refused(.signatureMissing), document: .refused(.documentMissing)),
    Fault("refuse,code=406", .unavailable(.protocolViolation)),
    Fault("refuse,code=429", .unavailable(.rateLimited)),
    Fault("refuse,code=500", .unavailable(.serverError)),
    Fault("refuse,code=502", .unavailable(.serverError)),
    Fault("refuse,code=503", .unavailable(.serverError)),
    Fault("refuse,code=511", .unavailable(.protocolViolation)),
    Fault("refuse,code=204", .unavailable(.protocolViolation)),
    // No condition was sent.
    Fault("refuse,code=304", .unavailable(.protocolViolation)),
  ]

  @Test(.timeLimit(.minutes(2)), arguments: faults, Target.allCases)
  func `is never adopted, and the reason is told`(fault: Fault, target: Target) async throws {
    let site = try await HostileSite.shared.value
    let limits = Limits(manifestSize: 100_000, evidenceSize: 100_000, documentSize: 100_000)
    var seen: (any Error)?
    let sight = try await site.backend(target, fault.behaviour).sight(limits: limits) { seen = $0 }
    #expect(sight == fault.expected(target), "\(String(describing: seen))")
    if let error = seen as? BackendError { #expect(error.message.contains("127.0.0.1"), "\(error)") }
    // And where the server mends its ways, all is well.
    #expect(try await site.backend().sight(limits: limits) == .all(of: site.publication))
  }

  @Test(.timeLimit(.minutes(5)), arguments: ["drip", "silent", "stall"], Target.allCases)
  func `cannot outlast the time it is given`(behaviour: String, target: Target) async throws {
    let site = try await HostileSite.shared.value
    // A document may take as long as it keeps coming; by how little a second it still does is the stall limit's to say.
    let backend = try site.backend(target, behaviour) {
      $0.stallLimit = HTTPStallLimit(bytesPerSecond: 32, for: .seconds(2))
    }
    let began = ContinuousClock.now
    let error = try await backend.unavailability(timeout: .seconds(1))
    #expect(error.code == .timeout && error.isRetryable, "\(error)")
    #expect(ContinuousClock.now - began < .seconds(8))
  }

  @Test(.timeLimit(.minutes(5)))
  func `names a login page of the network for what it is`() async throws {
    let error = try await HostileSite.shared.value.backend(.manifest, "portal").unavailability()
    #expect(error.message.contains("login page") && error.isRetryable, "\(error)")
  }

  @Test(.timeLimit(.minutes(5)), arguments: ["image%2Fpng", "text%2Fplain", "application%2Foctet-stream"])
  func `may say of itself what it likes, as long as the bytes are signed`(type: String) async throws {
    let site = try await HostileSite.shared.value
    for target in Target.allCases {
      // Only one document of several can be served by this behaviour at a time; all of them are of that type.
      #expect(try await site.backend(target, "typed,type=\(type)").sight() == .all(of: site.publication))
    }
  }

  @Test(.timeLimit(.minutes(5))) func `asks for patience in seconds and by a date`() async throws {
    let site = try await HostileSite.shared.value
    for code in [429, 503] {
      let seconds = try await site.backend(.manifest, "refuse,code=\(code),after=120").unavailability()
      #expect(seconds.retryAfter == .seconds(120) && seconds.isRetryable)
      let late = try await site.backend(
        .manifest, "refuse,code=\(code),after=Fri%2C 31 Dec 2100 23:59:59 GMT".replacing(" ", with: "%20")
      ).unavailability()
      #expect(late.retryAfter == .seconds(86400), "more than a day is cut: \(late)")
    }
  }

  @Test(.timeLimit(.minutes(5))) func `that leads to another host is followed as long as nothing secret goes along`()
    async throws
  {
    let site = try await HostileSite.start()
    let other = try await HostileSite.start()
    // The other one has the same drop, under another name: localhost is another origin than 127.0.0.1.
    let there = "elsewhere,to=http:||localhost:\(other.server.port)|at|x|file"
    let open = try await site.backend(.manifest, there).sight()
    #expect(open == .all(of: site.publication))
    #expect(other.server.log.contains("GET /at/x/file/documents/"), "what is relative to the manifest is there as well")
    #expect(!site.server.log.contains("documents/"))
    let origin = try HTTPOrigin(of: site.origin)
    let guarded = try site.backend(.manifest, there) {
      $0.credentials = HTTPCredentials(.bearer(HTTPSecret("token-1")), for: origin)
    }
    let error = try await guarded.unavailability()
    #expect(error.code == .protocolViolation && error.message.contains("another origin"), "\(error)")
    #expect(!other.server.log.contains("token-1"))
  }

  @Test(.timeLimit(.minutes(5))) func `cannot lead from https down to http`() async throws {
    let site = try await HostileSite.start(tls: .good)
    let plain = try await HostileSite.start()
    let authority = try await Certificates.shared.value.authority
    for target in Target.allCases {
      let backend = try site.backend(target, "elsewhere,to=http:||127.0.0.1:\(plain.server.port)|at|x|file") {
        $0.tls.trust = .only(file: authority)
      }
      let error = try await backend.unavailability()
      #expect(error.code == .protocolViolation && error.message.contains("down to"), "\(error)")
    }
    #expect(plain.server.log.isEmpty)
  }

  @Test(.timeLimit(.minutes(5))) func `that closes every connection after its answer is followed all the same`()
    async throws
  {
    let site = try await HostileSite.shared.value
    for target in Target.allCases {
      #expect(try await site.backend(target, "closing").sight() == .all(of: site.publication))
    }
  }

  @Test(.timeLimit(.minutes(5))) func `is followed over IPv6`() async throws {
    let site = try await HostileSite.start(host: "::1")
    #expect(site.url().hasPrefix("http://[::1]:"))
    #expect(try await site.backend().sight() == .all(of: site.publication))
  }

  @Test(.timeLimit(.minutes(5))) func `that has no name is unreachable`() async throws {
    let backend = try RESTBackend(manifest: "https://nowhere.invalid/manifest.json", transport: try HTTPTransport())
    let error = try await backend.unavailability()
    #expect(error.code == .unreachable && error.isRetryable && error.message.contains("nowhere.invalid"), "\(error)")
  }
}
