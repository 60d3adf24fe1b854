import DesiredStateSupport
import FoundationEssentials

/// What an operator tells a device that runs.
extension Reconciler {
  /// Lets the state that is adopted now be applied, where updates are held.
  ///
  /// - Throws: ``StoreError``, ``FileError``.
  public func approve() async throws {
    try await store.approveAdopted()
    applyBell.ring()
  }

  /// Goes back to a kept state and stays there, until a newer version is published or ``resume()``. The version floor
  /// stays where it is, and orchestrators are told.
  ///
  /// - Parameter version: the version to go back to; nil: the last one that was applied before.
  /// - Throws: ``StoreError`` with `notKept` if no such state is kept; ``FileError``.
  public func rollBack(to version: UInt64? = nil) async throws {
    try await store.rollBack(toVersion: version, as: configuration.device, at: configuration.now())
    await announce()
  }

  /// Ends a rollback: the state that was left is applied again.
  ///
  /// - Throws: ``StoreError``, ``FileError``.
  public func resume() async throws {
    try await store.resume(as: configuration.device, at: configuration.now())
    await announce()
  }

  private func announce() async {
    state.withLock { $0.applyRevision = nil }
    if let adopted = await store.adopted { supersede(by: adopted.revision, isOrdered: true) }
    if let rollback = await store.rollback, let adopted = await store.adopted {
      emit(
        .rolledBack(
          .init(
            revision: rollback.from.revision, version: rollback.from.version, code: rollback.code,
            reason: rollback.reason)), adopted.source, adopted.revision, adopted.version, adopted.origin)
    }
    applyBell.ring()
    deliveryBell.ring()
  }
}
