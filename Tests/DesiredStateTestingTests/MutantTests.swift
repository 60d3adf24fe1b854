import DesiredStateTesting
import Testing

@Suite struct MutantTests {
  @Test(arguments: Mutant.allCases) func `breaks exactly its law`(mutant: Mutant) async {
    let report = await Conformance("\(mutant)") { MutantFixture(mutant) }.report()
    #expect(report.broken == [mutant.breaks], "\(report)")
    // Nothing else may have kept the others from being tried.
    for law in report.laws where law.law != mutant.breaks { #expect(law.outcome == .kept, "\(law)") }
  }

  @Test func `every law has a mutant`() {
    #expect(Set(Mutant.allCases.map(\.breaks)) == Set(Law.allCases))
  }
}
