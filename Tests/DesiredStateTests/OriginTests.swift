import DesiredState
import FoundationEssentials
import Testing

@Suite struct OriginTests {
  static let poison = "a\u{1b}[2Jb\u{9b}c\u{202e}d\ne\u{2028}f"

  @Test("Every field is made safe to show, and cut") func safe() {
    let long = String(repeating: "x", count: 5000)
    for text in [Self.poison, long] {
      let origin = Origin(
        path: text, url: text, entityTag: text, reference: text, commit: text, author: text, subject: text)
      for shown in [
        origin.path, origin.url, origin.entityTag, origin.reference, origin.commit, origin.author, origin.subject,
        origin.description,
      ] {
        #expect(shown?.unicodeScalars.contains { $0.properties.generalCategory == .control } == false)
        #expect(shown?.contains("\u{202e}") == false && shown?.contains("\u{2028}") == false)
      }
      #expect((origin.subject?.count ?? 0) <= 1025)
    }
  }

  @Test("A Git origin names commit, subject, author, reference and time") func description() {
    let origin = Origin(
      reference: "refs/heads/main", commit: "1a2b3c4d5e6f70819203", author: "Ops <ops@plant.example>",
      subject: "Speed up", time: Date(timeIntervalSince1970: 1_800_000_000))
    #expect(
      origin.description
        == "commit 1a2b3c4d5e6f \"Speed up\" by Ops <ops@plant.example> on refs/heads/main, 2027-01-15T08:00:00Z")
    #expect(Origin().description.isEmpty)
  }

  @Test("A time that RFC 3339 cannot write is left out", arguments: [-1e12, 1e12, .infinity, -.infinity, .nan])
  func time(seconds: Double) {
    #expect(Origin(time: Date(timeIntervalSince1970: seconds)).time == nil)
  }
}
