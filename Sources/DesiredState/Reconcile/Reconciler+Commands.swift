import DesiredStateSupport
import FoundationEssentials

/// What an operator tells a device that runs.
extension Reconciler {
  /// Lets the state that is adopted now be applied, where updates are held.
  ///
  /// - Throws: ``StoreError``, ``FileError``.
  public func approve() async throws {
    _ = try await store.perform(.approve, at: configuration.now())
    await announce(.approve)
  }

  /// Goes back to a kept state and stays there, until a newer version is published or ``resume()``. The version floor
  /// stays where it is, and orchestrators are told. An apply of another state that is under way is cancelled.
  ///
  /// - Parameter version: the version to go back to; nil: the last one that was applied before.
  /// - Throws: ``StoreError`` with `notKept` if no such state is kept; ``FileError``.
  public func rollBack(to version: UInt64? = nil) async throws {
    _ = try await store.perform(.rollBack(version: version), at: configuration.now())
    await announce(.rollBack(version: version))
  }

  /// Ends a rollback: the state that was left is applied again.
  ///
  /// - Throws: ``StoreError``, ``FileError``.
  public func resume() async throws {
    _ = try await store.perform(.resume, at: configuration.now())
    await announce(.resume)
  }

  /// Does what commands of other processes have left to be done.
  func performRequests() async throws {
    for (request, result) in try await store.performRequests(at: configuration.now()) {
      switch result {
      case .success(let words):
        log(.notice, "an operator's request: \(words)")
        await announce(request)
      case .failure(let error): log(.error, "an operator's request could not be done: \(error)")
      }
    }
  }

  private func announce(_ request: StoreRequest) async {
    // An operator who says so need not wait until an earlier failure is forgotten.
    state.withLock { $0.isApplyAskedFor = true }
    let adopted = await store.adopted
    await trying("trust") { try await noteRevokedSigners() }
    switch request {
    case .rollBack, .resume:
      if let adopted { supersede(by: adopted.revision, isOrdered: true) }
      if let rollback = await store.rollback, let adopted {
        let left = Acknowledgement.OtherState(
          revision: rollback.from.revision, version: rollback.from.version, code: rollback.code, reason: rollback.reason
        )
        emit(.rolledBack(left), adopted.source, adopted.revision, adopted.version, adopted.origin)
      }
    case .reset:
      state.withLock { state in
        for source in state.sources.keys {
          state.sources[source]?.attempts.hurry()
          state.sources[source]?.asked = nil
          state.sources[source]?.refused = nil
        }
        state.isHinted = true
      }
      pollBell.ring()
    case .approve: break
    }
    applyBell.ring()
    deliveryBell.ring()
  }
}
