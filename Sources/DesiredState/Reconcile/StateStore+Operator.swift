import DesiredStateSupport
public import FoundationEssentials

/// What an operator decides about a device's state, by a command or through an agent that runs.
extension StateStore {
  /// Lets the state that is adopted now be applied, where updates are held.
  ///
  /// - Returns: that state; nil if none is adopted.
  @discardableResult public func approveAdopted() throws -> AdoptedState? {
    try approve(adopted?.revision)
    return adopted
  }

  /// Goes back to a kept state: see ``Reconciler/rollBack(to:)``.
  ///
  /// - Parameters:
  ///   - version: the version to go back to; nil: the last one that was applied before.
  ///   - device: the device's name, for the acknowledgement.
  /// - Returns: the state it is on now.
  /// - Throws: ``StoreError`` with `notKept` if no such state is kept; ``FileError``.
  @discardableResult
  public func rollBack(toVersion version: UInt64? = nil, as device: String, at time: Date) throws -> AdoptedState {
    let target = try rollbackTarget(version: version)
    guard let left = adopted else { return target }
    let departure = Acknowledgement.Departure(
      revision: left.revision, version: left.version, code: "operator", reason: "an operator went back to an earlier state")
    try rollBack(
      to: target.revision, code: departure.code, reason: departure.reason, at: time,
      acknowledging: [statement(.rolledBack(departure), about: target, device, time)])
    return target
  }

  /// Ends a rollback: see ``Reconciler/resume()``.
  ///
  /// - Returns: the state it is on now; nil if no rollback was in force.
  @discardableResult public func resume(as device: String, at time: Date) throws -> AdoptedState? {
    guard let rollback else { return nil }
    return try resume(at: time, acknowledging: [statement(.adopted, about: rollback.from, device, time)])
  }

  private func statement(
    _ outcome: Acknowledgement.Outcome, about state: AdoptedState, _ device: String, _ time: Date
  ) -> Acknowledgement {
    Acknowledgement(
      device: device, revision: state.revision, adoptedManifestVersion: state.version, origin: state.origin, time: time,
      outcome: outcome)
  }
}
