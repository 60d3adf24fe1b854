package import DesiredState
import Foundation
package import Testing

extension FetchResult {
  /// The state, if there is a new one.
  package var state: FetchedState? {
    if case .changed(let state) = outcome { state } else { nil }
  }
  package var isUnchanged: Bool { if case .unchanged = outcome { true } else { false } }
  package var isAbsent: Bool { if case .absent = outcome { true } else { false } }
}

package func collect(_ bytes: some AsyncSequence<[UInt8], any Error>) async throws -> [UInt8] {
  var all: [UInt8] = []
  for try await chunk in bytes { all += chunk }
  return all
}

/// The error of a kind that an operation throws; fails the test if it throws none or another.
package func thrown<Failure: Error>(
  _ type: Failure.Type, at location: SourceLocation = #_sourceLocation, _ work: () async throws -> Void
) async throws -> Failure {
  do {
    try await work()
  } catch let error as Failure {
    return error
  } catch {
    Issue.record("expected \(type), got \(error)", sourceLocation: location)
    throw error
  }
  Issue.record("expected \(type), nothing was thrown", sourceLocation: location)
  throw CancellationError()
}

extension FetchedState {
  /// Puts the state through the verifier without asking for signatures.
  package func verified() throws -> VerifiedState {
    try Verifier(policy: .unsigned, device: "press-42", now: Date()).admit(self)
  }

  /// Every document's bytes by id, verified.
  package func allDocuments() async throws -> [String: [UInt8]] {
    let verified = try verified()
    var found: [String: [UInt8]] = [:]
    for document in verified.readingOrder(of: verified.manifest.documents) {
      found[document.id] = try await collect(verified.open(document))
    }
    return found
  }
}
