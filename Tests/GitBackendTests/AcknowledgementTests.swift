import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// Receipts, committed to a branch of the device's own.
@Suite(.timeLimit(.minutes(2))) struct AcknowledgementTests {
  private func acknowledgement(
    _ document: String, _ state: DocumentStatus.State, device: String = "press-42", id: String
  ) -> Acknowledgement {
    Acknowledgement(
      id: id, device: device, revision: nil, adoptedManifestVersion: 7,
      time: Date(timeIntervalSince1970: 1_750_000_000),
      outcome: .document(DocumentStatus(documentID: document, state: state)))
  }

  private let branch = "refs/heads/acknowledgements/press-42"

  @Test(arguments: Way.allCases)
  func `receipts are commits on the device's branch, and the same one twice is one`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let cache = TemporaryDirectory()
    for (document, state, id) in [
      ("press", DocumentStatus.State.pending, "1"), ("belt", .failed, "2"), ("press", .installed, "3"),
    ] {
      for _ in 1...2 {
        try await Device(repository, over: road, cache: cache.path).backend.acknowledge(
          acknowledgement(document, state, id: id))
      }
    }
    #expect(try await repository.git("rev-list", "--count", branch) == "3")
    #expect(
      try await repository.git("ls-tree", "-r", "--name-only", branch).split(separator: "\n") == [
        "acknowledgements/press-42/documents/belt.json", "acknowledgements/press-42/documents/press.json",
      ])
    let receipt = String(
      decoding: try await repository.show("acknowledgements/press-42/documents/press.json", at: branch), as: UTF8.self)
    #expect(receipt.contains("\"installed\""))
    try await repository.git("fsck", "--strict")
    await road.tearDown()
  }

  @Test func `credentials that only read leave an acknowledgement undelivered, with a word that says so`() async throws
  {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let road = try await GitOverHTTP(repository, takesPushes: false)
    let device = try Device(repository, over: road)
    #expect(try await device.look() == ["press": "1"])
    let error = try await thrown(BackendError.self) {
      try await device.backend.acknowledge(acknowledgement("press", .installed, id: "1"))
    }
    #expect(error.code == .forbidden)
    // Tried again, and rarely: it may be allowed while the device runs.
    #expect(error.retryAfter.map { $0 > .seconds(3000) } == true, "\(error)")
    #expect(error.message.contains("receipts=none"))
    await road.tearDown()
  }

  @Test(arguments: [Way.https, .ssh, .sshVersion0])
  func `a branch that the server protects is forbidden`(way: Way) async throws {
    let repository = try await OperatorRepository()
    try write("#!/bin/sh\necho >&2 not here; exit 1\n", to: "\(repository.path)/hooks/pre-receive")
    try await run(["chmod", "+x", "\(repository.path)/hooks/pre-receive"])
    let road = try await way.road(to: repository)
    let error = try await thrown(BackendError.self) {
      try await Device(repository, over: road).backend.acknowledge(acknowledgement("press", .installed, id: "1"))
    }
    #expect(error.code == .forbidden)
    #expect(error.message.contains("hook"), "\(error)")
    await road.tearDown()
  }

  @Test(arguments: [Way.https, .ssh])
  func `a branch whose name is another's directory is forbidden, and not busy`(way: Way) async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    try await repository.git("branch", "acknowledgements")
    let road = try await way.road(to: repository)
    let error = try await thrown(BackendError.self) {
      try await Device(repository, over: road).backend.acknowledge(acknowledgement("press", .installed, id: "1"))
    }
    #expect(error.code == .forbidden, "\(error)")
    if way != .file { #expect(error.message.contains("folder") && error.message.contains("ack-ref="), "\(error)") }
    await road.tearDown()
  }

  @Test(arguments: [Way.file, .https])
  func `devices that share a branch all get their receipts in`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        group.addTask {
          let device = try Device(repository, "ref=main&ack-ref=receipts", over: road)
          for document in ["press", "belt"] {
            try await device.backend.acknowledge(
              acknowledgement(document, .installed, device: "device-\(number)", id: "\(number) \(document)"))
          }
        }
      }
      try await group.waitForAll()
    }
    let files = try await repository.git("ls-tree", "-r", "--name-only", "refs/heads/receipts").split(separator: "\n")
    #expect(files.count == 8)
    #expect(try await repository.git("rev-list", "--count", "refs/heads/receipts") == "8")
    await road.tearDown()
  }

  @Test func `receipts can go to another repository`() async throws {
    let state = try await OperatorRepository()
    let receipts = try await OperatorRepository()
    let device = try Device(state, "ref=main&ack=git%2Bfile:\(receipts.path)")
    try await device.backend.acknowledge(acknowledgement("press", .installed, id: "1"))
    #expect(try await receipts.git("rev-list", "--count", branch) == "1")
    #expect(try await state.git("for-each-ref").isEmpty)
  }

  @Test(arguments: ["a..b", "dots.", "x.lock", "with space/and slash", "über", ".hidden", "-x", "@"])
  func `a device of any name has a branch that git allows`(name: String) async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await device.backend.acknowledge(acknowledgement("press", .installed, device: name, id: "1"))
    let branches = try await repository.git("for-each-ref", "--format=%(refname)").split(separator: "\n")
    #expect(branches.count == 1)
    try await repository.git("check-ref-format", String(branches[0]))
  }
}
