import DesiredState

extension ConformanceCase {
  /// Law 15.
  func tryErrors() async throws {
    let backend = try await makeBackend()
    // A source that does not answer must be given up within the kit's time for one operation.
    let timeout = operationTimeout / 5
    let seen = try await adopt(.first, from: backend, timeout: timeout)
    try expectNoSecret(in: backend.source, "the name of the source")
    try expect(!backend.source.isEmpty, "the source has a name", "it is empty")

    try await arrange("make its source unreachable") { try await $0.makeUnreachable() }
    var errors: [(String, any Error)] = []
    for (words, current) in [("fetch, with no current revision", nil), ("fetch, with a current one", seen)] {
      if let error = try await errorThrown({ _ = try await fetch(backend, after: current, timeout: timeout) }) {
        errors.append((words, error))
      }
    }
    for document in seen.documents.prefix(1) {
      if let error = try await errorThrown({ _ = try await rawBytes(of: document, in: seen.fetched) }) {
        errors.append(("reading a document", error))
      }
    }
    if takesAcknowledgements(backend),
      let error = try await errorThrown({ try await acknowledge(.installed("press", by: seen, id: "1"), to: backend) })
    {
      errors.append(("acknowledge", error))
    }
    for (words, error) in errors {
      try expectUseful(error, "\(words), while the source cannot be reached")
      if let error = error as? BackendError {
        try expect(
          error.isRetryable, "\(words), while the source cannot be reached, throws an error that may be retried",
          "it threw \(error), which must not be retried")
      }
    }
    try await arrange("make its source reachable") { try await $0.makeReachable() }

    try await part("a refused document") {
      try await arrange("corrupt document 'press'") { try await $0.corrupt(.document("press")) }
      for document in seen.documents where document.id == "press" {
        if let error = try await errorThrown({ _ = try await bytes(of: document, in: seen.verified) }) {
          try expectUseful(error, "reading a document that was tampered with")
        }
      }
    }
    try await part("how long to wait") {
      let asked: Duration = .seconds(7)
      try await arrange("ask for patience") { try await $0.askForPatience(asked) }
      var told: Duration?
      if let error = try await errorThrown({ told = try await fetch(backend, after: seen).retryAfter }) {
        try expectUseful(error, "fetch, when the source asks for patience")
        told = (error as? BackendError)?.retryAfter
      }
      // A second less may be left of it by now.
      try expect(
        told.map { ($0 - asked).magnitude <= .seconds(1) } ?? false,
        "when the source asks to be left alone for \(asked), the error or the result says so in retryAfter",
        "it says \(told.map { "\($0)" } ?? "nothing")")
    }
  }

  private func errorThrown(_ work: () async throws -> Void) async throws -> (any Error)? {
    do {
      try await work()
      return nil
    } catch let error where error is Violation || error is Inconclusive {
      throw error
    } catch {
      return error
    }
  }

  private func expectUseful(_ error: any Error, _ when: String) throws {
    let message: String
    switch error {
    case let error as BackendError: message = error.message
    case let error as VerificationError: message = error.reason
    case let error as CancellationError: message = "\(error)"
    default:
      throw Violation(
        expected: "\(when), the error is a BackendError or a VerificationError",
        happened: "it is \(type(of: error)): \(error)")
    }
    try expect(
      message.split(separator: " ").count >= 3, "\(when), the error says in words what happened",
      "it says '\(message)'")
    try expectNoSecret(in: "\(error)", "the error of \(when)")
    try expectNoSecret(in: String(reflecting: error), "the error of \(when)")
    // And everything inside it, such as an underlying error.
    var dumped = ""
    dump(error, to: &dumped)
    try expectNoSecret(in: dumped, "the inside of the error of \(when)")
  }

  private func expectNoSecret(in text: String, _ what: String) throws {
    for (index, secret) in fixture.secrets.enumerated() where !secret.isEmpty {
      // Not shown here either.
      try expect(
        !text.contains(secret), "\(what) shows none of the fixture's secrets", "it shows secret number \(index + 1)")
    }
  }
}

extension Duration {
  fileprivate var magnitude: Duration { self < .zero ? .zero - self : self }
}
