/// Who vouches for a state.
public struct Signer: Sendable, Hashable, Codable {
  /// The names `allowed_signers` gives the key.
  public var principals: [String]
  /// The key's fingerprint as `ssh-keygen -l` prints it.
  public var key: String

  /// A signer of whom these things are known.
  public init(principals: [String], key: String) {
    self.principals = principals
    self.key = key
  }
}

extension Signer: CustomStringConvertible {
  /// `ops@plant.example SHA256:…`
  public var description: String { (principals + [key]).joined(separator: " ") }
}
