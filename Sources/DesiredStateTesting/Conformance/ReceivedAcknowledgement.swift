public import DesiredState
import FoundationEssentials

/// An acknowledgement as a source received it, reduced to what the kit compares.
public struct ReceivedAcknowledgement: Sendable, Hashable {
  /// Its subject.
  public var subject: Acknowledgement.Subject
  /// What it says of it: `adopted` or `rejected` of the state, a state such as `installed` of a document.
  public var state: String

  /// An acknowledgement of these parts.
  public init(subject: Acknowledgement.Subject, state: String) {
    self.subject = subject
    self.state = state
  }

  /// The same for an acknowledgement that is at hand.
  public init(_ acknowledgement: Acknowledgement) {
    subject = acknowledgement.subject
    switch acknowledgement.outcome {
    case .adopted: state = "adopted"
    case .rejected: state = "rejected"
    case .rolledBack: state = "rolled-back"
    case .failed: state = "failed"
    case .reset: state = "reset"
    case .document(let status): state = status.state.rawValue
    }
  }

  /// Reads a receipt, as a drop or a repository holds it under `acknowledgements`.
  ///
  /// - Throws: `DecodingError` if it cannot be read as one.
  public init(receipt bytes: [UInt8]) throws {
    struct Wire: Decodable {
      struct Status: Decodable { var state: String }
      var deploymentId: String?
      var status: Status
    }
    let wire = try JSONDecoder().decode(Wire.self, from: Data(bytes))
    subject = wire.deploymentId.map { .document($0) } ?? .state
    state = wire.status.state
  }
}
