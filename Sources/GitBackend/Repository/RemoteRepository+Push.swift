import DesiredState
import DesiredStateSupport

extension RemoteRepository {
  func advance(
    _ reference: String, _ make: @escaping @Sendable (AsyncObjectStore, Commit?) async throws -> ObjectID?
  ) async throws {
    var before: ObjectID?
    var refusals = 0
    try await retryingOnConflict(reference, of: source) {
      let cache = try await openCache()
      let old = try await references(.names([reference]))[reference]
      var tip: Commit?
      if let old { tip = try await commit(old, in: cache) }
      guard let new = try await make(cache.objects, tip) else { return true }
      let pack = try await cache.objects.use { [tip] store in try store.pack(of: new, without: tip) }
      let outcome = try await push(PushRequest(reference: reference, old: old, new: new, pack: pack))
      if case .refused(let reason, let remarks) = outcome {
        if let other = try await referenceInTheWay(of: reference) {
          throw BackendError(
            .forbidden,
            "\(source) has \(other), and so cannot have \(reference): one name is the other's folder; rename that branch, or name another one with 'ack-ref='"
          )
        }
        // Not moved by another client, and still it cannot be moved: then others may move it, and this device may not.
        refusals = before == old ? refusals + 1 : 1
        before = old
        guard refusals < 4, Self.isContention(reason) else { throw refusal(of: reference, reason, remarks) }
        return false
      }
      try await write(cache) { try cache.note(new) }
      try await tidy(keeping: [new])
      return true
    }
  }

  /// A reference whose name is a folder of this one's: git keeps no two such.
  private func referenceInTheWay(of reference: String) async throws -> String? {
    let parts = reference.split(separator: "/")
    let folders = (3..<max(parts.count, 3)).map { parts.prefix($0).joined(separator: "/") }
    return folders.isEmpty ? nil : try await references(.names(folders)).keys.first
  }

  /// Pushes, and looks where the branch is when the answer does not say: a hook may have taken longer than the line.
  private func push(_ request: PushRequest) async throws -> PushRequest.Outcome {
    do {
      return try await withSession(with: .receivePack) { [self] session in
        let advertisement = try await advertisement(.receivePack, in: session)
        return try await request.perform(in: session, of: advertisement)
      }
    } catch let error as BackendError {
      let isUncertain = [.timeout, .unreachable, .protocolViolation, .serverError].contains(error.code)
      guard isUncertain, (try? await references(.names([request.reference])))?[request.reference] == request.new else {
        throw error
      }
      return .moved
    }
  }

  private func refusal(of reference: String, _ reason: String, _ remarks: [String]) -> BackendError {
    let said = remarks.suffix(3).map { quoted($0, limit: 160) }.joined(separator: ", ")
    return BackendError(
      .forbidden,
      "\(source) does not take \(reference): \(quoted(reason, limit: 200))\(said.isEmpty ? "" : "; it says \(said)")")
  }

  /// Whether a refusal means that another client was first: the words of git, and of servers built on it.
  private static func isContention(_ reason: String) -> Bool {
    [
      "fetch first", "non-fast-forward", "stale info", "failed to update ref", "failed to lock", "cannot lock ref",
      "incorrect old value", "already exists",
    ].contains { reason.contains($0) }
  }
}
