import DesiredState
import Testing

@Suite struct AbsenceTests {
  @Test("It says which part is missing, in words that are safe to show") func reason() {
    let absence = Absence(.reference, "no branch '\(OriginTests.poison)' is there")
    #expect(absence.part == .reference && absence.part.rawValue == "reference")
    #expect(!absence.description.unicodeScalars.contains { $0.properties.generalCategory == .control })
    #expect(!absence.description.contains("\u{202e}"))
  }
}
