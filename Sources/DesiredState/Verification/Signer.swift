/// Who vouches for a state.
public struct Signer: Sendable, Codable {
  /// The names `allowed_signers` gives the key.
  public var principals: [String]
  /// The key's fingerprint as `ssh-keygen -l` prints it.
  public var key: String
  /// The means of the signature; nil where only the fingerprint is known.
  var credential: SigningCredential?

  /// A signer of whom these things are known.
  package init(principals: [String], key: String) {
    self.principals = principals
    self.key = key
  }

  // What others are told of a signer is its names and its key.
  private enum CodingKeys: String, CodingKey { case principals, key }
}

extension Signer: Hashable {
  public static func == (one: Signer, other: Signer) -> Bool {
    one.key == other.key && one.principals == other.principals
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(key)
    hasher.combine(principals)
  }
}

extension Signer: CustomStringConvertible {
  /// `ops@plant.example SHA256:…`
  public var description: String { (principals + [key]).joined(separator: " ") }
}
