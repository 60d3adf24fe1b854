import NIOConcurrencyHelpers

/// The faults that are switched on, in order. A restart switches all off.
final class Switchboard: Sendable {
  private let state = NIOLockedValueBox<[Fault]>([])

  var faults: [Fault] {
    get { state.withLockedValue { $0 } }
    set { state.withLockedValue { $0 = newValue } }
  }

  /// The first fault that concerns a request, which counts against it.
  func take(for client: String?, _ operation: Operation) -> Fault? {
    state.withLockedValue { faults in
      let index = faults.firstIndex { fault in
        (fault.client == nil || fault.client == client)
          && (fault.on ?? operation) == operation && fault.fault.operations.contains(operation)
      }
      guard let index else { return nil }
      let fault = faults[index]
      if let requests = fault.requests {
        faults[index].requests = requests - 1
        if requests == 1 { faults.remove(at: index) }
      }
      return fault
    }
  }
}
