public import DesiredState
import DesiredStateSupport

/// Makes any backend's answers come in the wrong order: now and then an earlier state is offered again, as a cache that is
/// behind does, or an attacker who kept it.
public struct StaleBackend<Base: DesiredStateBackend>: BackendDecorator {
  private final class Past: Sendable {
    let states = LockedValue<[FetchedState]>([])
  }

  public let base: Base
  private let probability: Double
  private let dice: Dice
  private let past = Past()

  /// - Parameters:
  ///   - base: the backend that is decorated.
  ///   - probability: how likely a fetch answers with an earlier state, from 0 to 1, once there is one.
  ///   - seed: the same seed gives the same answers, fetch by fetch.
  public init(_ base: Base, replaying probability: Double, seed: UInt64) {
    self.base = base
    self.probability = probability
    dice = Dice(seed: seed)
  }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    let isStale = dice.strikes(probability)
    let earlier = past.states.withLock { states in
      isStale && !states.isEmpty ? states[dice.index(below: states.count)] : nil
    }
    if let earlier {
      return request.current == earlier.revision ? .unchanged : .changed(earlier)
    }
    let result = try await base.fetch(request)
    if case .changed(let state) = result.outcome {
      past.states.withLock { states in
        if !states.contains(where: { $0.revision == state.revision }) { states.append(state) }
      }
    }
    return result
  }
}
