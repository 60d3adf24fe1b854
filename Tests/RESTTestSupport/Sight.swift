package import DesiredState
package import DesiredStateTesting
package import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import Testing

extension TestPublication {
  /// A state of three documents, signed by `ops@plant.example`.
  package static func version(_ version: UInt64, press: String? = nil, device: String? = nil, expires: Date? = nil)
    -> TestPublication
  {
    TestPublication(
      version: version,
      documents: [
        "press": Array((press ?? "recipe: \(version)\n").utf8), "belt/left": Array("speed: 2\n".utf8), "empty": [],
      ], device: device, expires: expires)
  }

  /// Puts it in place as it is, as a drop in a directory.
  package func write(to drop: String, leavingOut part: Part? = nil) throws {
    for file in files where file.part != part {
      let path = drop + "/" + file.path
      try FileManager.default.createDirectory(
        atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try Data(file.bytes).write(to: URL(fileURLWithPath: path))
    }
  }
}

/// What became of a poll of a source, down to the bytes of the documents.
package enum Sight: Equatable, CustomStringConvertible {
  case unchanged
  case absent
  case state(revision: Revision, documents: [String: [UInt8]])
  case refused(VerificationError.Code)
  case unavailable(BackendError.Code)

  package var description: String {
    switch self {
    case .unchanged: "unchanged"
    case .absent: "absent"
    case .state(let revision, let documents): "\(revision) of \(documents.keys.sorted())"
    case .refused(let code): "refused: \(code)"
    case .unavailable(let code): "unavailable: \(code)"
    }
  }
}

extension DesiredStateBackend {
  /// Looks, verifies and reads every document, as a device does that has adopted nothing, or up to `floor`.
  ///
  /// - Parameter note: is given the error, if there is one.
  package func sight(
    floor: TestPublication? = nil, current: Revision? = nil, limits: Limits = Limits(),
    timeout: Duration = .seconds(20), note: (any Error) -> Void = { _ in }
  ) async throws -> Sight {
    do {
      let result = try await fetch(FetchRequest(current: current, limits: limits, timeout: timeout))
      switch result.outcome {
      case .unchanged: return .unchanged
      case .absent: return .absent
      case .changed(let state):
        let verifier = Verifier(
          policy: TestSigner.policy([TestSigner()]), device: "press-42",
          floor: floor.map { VersionFloor(version: $0.version, revision: $0.revision) }, now: Date(), limits: limits)
        let verified = try await verify(state, with: verifier)
        var documents: [String: [UInt8]] = [:]
        for document in verified.readingOrder(of: verified.manifest.documents) {
          var bytes: [UInt8] = []
          for try await piece in try await verified.open(document) { bytes += piece }
          documents[document.id] = bytes
        }
        return .state(revision: verified.revision, documents: documents)
      }
    } catch let error as VerificationError {
      note(error)
      return .refused(error.code)
    } catch let error as BackendError {
      note(error)
      return .unavailable(error.code)
    }
  }

  /// The ``BackendError`` that a poll ends with.
  package func unavailability(timeout: Duration = .seconds(20)) async throws -> BackendError {
    var found: (any Error)?
    let sight = try await sight(timeout: timeout) { found = $0 }
    return try #require(found as? BackendError, "it ended with \(sight): \(String(describing: found))")
  }
}

extension Sight {
  /// All of a publication.
  package static func all(of publication: TestPublication) -> Sight {
    .state(revision: publication.revision, documents: publication.documents)
  }
}
