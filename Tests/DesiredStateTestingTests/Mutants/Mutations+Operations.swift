import DesiredState
import Dispatch
import Glibc
import Synchronization

@testable import DesiredStateTesting

// Mistakes in how operations run and end: laws 9, 12, 15 and 16.
extension Mutation {
  static func ignoringCancellation(of operation: MockBackend.Operation) -> Mutation {
    var mutation = Mutation()
    switch operation {
    case .fetch: mutation.fetch = { request, base in try await detached { try await base.fetch(request) } }
    case .read:
      mutation.open = { document, reader in
        try await detached { _ = try await reader.open(document) }
        return try await reader.open(document)
      }
    case .acknowledge:
      mutation.acknowledge = { acknowledgement, base in
        try await detached { try await base.acknowledge(acknowledgement) }
      }
    }
    return mutation
  }

  /// Runs work in a task that no cancellation reaches.
  private static func detached<Value: Sendable>(
    _ work: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await Task.detached { try await work() }.value
  }

  static func mistakingCancellation() -> Mutation {
    Mutation(fetch: { request, base in
      do {
        return try await base.fetch(request)
      } catch is CancellationError {
        throw BackendError(.unreachable, "the source did not answer")
      }
    })
  }

  static func stayingBusy() -> Mutation {
    let isBusy = Shared(false)
    return Mutation(fetch: { request, base in
      guard !isBusy.value.withLock({ $0 }) else { throw BackendError(.busy, "another fetch is still running") }
      do {
        return try await base.fetch(request)
      } catch let error as CancellationError {
        isBusy.value.withLock { $0 = true }
        throw error
      }
    })
  }

  static func acknowledgingTwice() -> Mutation {
    Mutation(acknowledge: { acknowledgement, base in
      try await base.acknowledge(acknowledgement)
      var again = acknowledgement
      again.id += "-again"
      try await base.acknowledge(again)
    })
  }

  static func swappingAcknowledgements() -> Mutation {
    let waiting = Shared<[Acknowledgement.Subject: Acknowledgement]>([:])
    return Mutation(acknowledge: { acknowledgement, base in
      let earlier = waiting.value.withLock { waiting -> Acknowledgement? in
        if let earlier = waiting[acknowledgement.subject], earlier.id != acknowledgement.id {
          waiting[acknowledgement.subject] = nil
          return earlier
        }
        waiting[acknowledgement.subject] = acknowledgement
        return nil
      }
      if let earlier {
        try await base.acknowledge(acknowledgement)
        try await base.acknowledge(earlier)
      }
    })
  }

  static func swallowingUndelivered() -> Mutation {
    Mutation(acknowledge: { acknowledgement, base in
      do { try await base.acknowledge(acknowledgement) } catch is BackendError {}
    })
  }

  static func droppingAcknowledgements() -> Mutation {
    Mutation(capabilities: { $0.subtracting(.acknowledges) }, acknowledge: { _, _ in })
  }

  /// Throws other errors than the honest backend.
  static func failing(_ change: @escaping @Sendable (BackendError) -> BackendError) -> Mutation {
    Mutation(fetch: { request, base in
      do {
        return try await base.fetch(request)
      } catch let error as BackendError {
        throw change(error)
      }
    })
  }

  static func leaking(_ make: @escaping @Sendable () -> Leak) -> Mutation {
    let leaks = Shared<[Leak]>([])
    return Mutation(fetch: { request, base in
      leaks.value.withLock { $0.append(make()) }
      return try await base.fetch(request)
    })
  }
}

/// Something that is not given back while the backend lives.
final class Leak: Sendable {
  private let descriptors: [Int32]
  private let memory: [UInt8]
  private let thread: DispatchSemaphore?

  private init(descriptors: [Int32] = [], memory: [UInt8] = [], thread: DispatchSemaphore? = nil) {
    self.descriptors = descriptors
    self.memory = memory
    self.thread = thread
  }

  // The mutant ends here, and what it leaked with it.
  deinit {
    for descriptor in descriptors { close(descriptor) }
    thread?.signal()
  }

  static func descriptor() -> Leak { Leak(descriptors: [open("/dev/null", O_RDONLY | O_CLOEXEC)]) }

  static func memory() -> Leak { Leak(memory: [UInt8](repeating: 1, count: 160 << 10)) }

  /// A thread that waits until the leak is gone.
  static func thread() -> Leak {
    let end = DispatchSemaphore(value: 0)
    var thread = pthread_t()
    let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { end in
      if let end { Unmanaged<DispatchSemaphore>.fromOpaque(end).takeRetainedValue().wait() }
      return nil
    }
    pthread_create(&thread, nil, body, Unmanaged.passRetained(end).toOpaque())
    pthread_detach(thread)
    return Leak(thread: end)
  }
}
