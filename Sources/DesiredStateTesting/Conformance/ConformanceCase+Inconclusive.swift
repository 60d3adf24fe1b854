extension ConformanceCase {
  /// The law cannot be judged: the fixture failed, or another law was broken on the way.
  struct Inconclusive: Error {
    let reason: String
  }
}
