/// Why an exchange by git's protocol came to nothing. It knows no source by name: see where it is translated.
struct GitProtocolError: Error, Sendable, CustomStringConvertible {
  enum Code: Sendable {
    /// The answer does not follow the protocol, or is no answer of git.
    case violation
    /// The server says itself that it does not answer (gitprotocol-pack(5), ERR and side band 3).
    case refused
    /// More came than the bounds allow.
    case tooLarge
    /// The server speaks correctly, of something that is not spoken here.
    case unsupported
  }

  let code: Code
  /// What happened, for a sentence that begins with the name of the source.
  let message: String
  /// The last lines that the server wrote for people (side band 2).
  var remarks: [String] = []

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  var description: String { message }
}
