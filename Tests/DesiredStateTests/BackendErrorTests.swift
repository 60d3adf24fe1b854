import DesiredState
import Testing

@Suite struct BackendErrorTests {
  @Test("What a person must change is not retried by itself, the rest is") func retrying() {
    for code in [BackendError.Code.unauthorized, .forbidden, .tlsUntrusted, .unsupported] {
      #expect(!BackendError(code, "no").isRetryable, "\(code)")
    }
    for code in [BackendError.Code.unreachable, .timeout, .rateLimited, .serverError, .protocolViolation, .busy] {
      #expect(BackendError(code, "no").isRetryable, "\(code)")
    }
    #expect(!BackendError(.timeout, "no", isRetryable: false).isRetryable)
  }

  @Test("Messages of every kind of error are safe to show") func safe() {
    let errors: [any Error] = [
      BackendError(.unreachable, OriginTests.poison), VerificationError(.expired, OriginTests.poison),
      SourceAddressError(OriginTests.poison),
    ]
    for error in errors {
      #expect(!"\(error)".unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(type(of: error))")
      #expect(!"\(error)".contains("\u{202e}") && !"\(error)".contains("\u{2028}"), "\(type(of: error))")
    }
  }
}
