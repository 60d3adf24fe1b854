import DesiredState
import DesiredStateTesting
import EtcdBackend
import Synchronization
import Testing

@Suite("The laws, tried on etcd", .timeLimit(.minutes(3)))
struct ConformanceTests {
  @Test("The backend keeps", arguments: Law.allCases) func keeps(law: Law) async throws {
    try await Conformance("EtcdBackend") { try await EtcdFixture() }.check(law)
  }
}

/// An etcd of its own for each law.
final class EtcdFixture: ConformanceFixture {
  static let prefix = "/plant/press-42/"

  let etcd: EtcdServer
  private let published = Mutex<TestPublication?>(nil)
  private let standIn = Mutex<StandIn?>(nil)

  init() async throws {
    etcd = try EtcdServer()
    do {
      try await etcd.start()
    } catch {
      etcd.remove()
      throw error
    }
  }

  /// The backend is given none.
  var secrets: [String] { [] }

  func makeBackend() async throws -> any DesiredStateBackend {
    var registry = BackendRegistry()
    EtcdBackend.register(in: &registry)
    return try registry.backend(
      for: "etcd+http://127.0.0.1:\(etcd.port)\(Self.prefix)", context: BackendContext(device: "conformance"))
  }

  func publish(_ publication: TestPublication) async throws {
    try await makeReachable()
    try await put(publication.files)
    published.withLock { $0 = publication }
  }

  func publishNothing() async throws { try await etcd.delete(Self.prefix + DropLayout.manifest) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    try await put(publication.files.filter { $0.part != part })
  }

  func corrupt(_ part: TestPublication.Part) async throws {
    let files = published.withLock { $0 }?.files.filter { $0.part == part } ?? []
    for file in files { try await etcd.put(Self.key(of: file), TestPublication.corrupted(file.bytes)) }
  }

  // etcd counts writes: a repaired value shows another revision, which is as good.
  func repair(_ part: TestPublication.Part) async throws {
    let files = published.withLock { $0 }?.files.filter { $0.part == part } ?? []
    for file in files { try await etcd.put(Self.key(of: file), file.bytes) }
  }

  func makeUnreachable() async throws { etcd.stop() }

  func makeReachable() async throws {
    await standIn.withLock { $0.take() }?.stop()
    try await etcd.start()
  }

  func stall() async throws { etcd.pause() }
  func resume() async throws { etcd.proceed() }

  func makeEndless(_ part: TestPublication.Part) async throws {
    let files = published.withLock { $0 }?.files ?? []
    guard let endless = files.first(where: { $0.part == part }) else { return }
    let values = files.map { (Self.key(of: $0), $0.bytes) }
    try await replaceEtcd(by: .values(Dictionary(uniqueKeysWithValues: values), endless: Self.key(of: endless)))
  }

  func askForPatience(_ duration: Duration) async throws {
    try await replaceEtcd(by: .patience(seconds: Int(duration.components.seconds)))
  }

  private func replaceEtcd(by answer: StandIn.Reply) async throws {
    etcd.stop()
    let standIn = try await StandIn(on: etcd.port, answering: answer)
    self.standIn.withLock { $0 = standIn }
  }

  func traffic() async throws -> SourceTraffic {
    if let standIn = standIn.withLock({ $0 }) { return SourceTraffic(bytes: standIn.bytes) }
    return try await etcd.traffic(prefix: Self.prefix)
  }

  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    try await etcd.values(below: Self.prefix + "acknowledgements/").map(ReceivedAcknowledgement.init(receipt:))
  }

  func tearDown() async {
    await standIn.withLock { $0.take() }?.stop()
    etcd.remove()
  }

  private func put(_ files: [TestPublication.File]) async throws {
    for file in files { try await etcd.put(Self.key(of: file), file.bytes) }
  }

  static func key(of file: TestPublication.File) -> String { prefix + file.path }
}
