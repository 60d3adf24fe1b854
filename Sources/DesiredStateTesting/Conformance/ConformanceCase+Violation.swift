extension ConformanceCase {
  /// The law is broken.
  struct Violation: Error {
    /// What the law asks for, in words.
    let expected: String
    /// What the backend did in its place.
    let happened: String
  }
}
