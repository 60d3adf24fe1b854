import DesiredStateTesting
import Testing

/// Each law has backends that break it, and the kit finds them.
@Suite struct MutantTests {
  @Test(arguments: Mutant.allCases) func `breaks exactly its law`(mutant: Mutant) async {
    let report = await Conformance("\(mutant)") { MutantFixture(mutant) }.report()
    #expect(report.broken == [mutant.breaks], "\(report)")
    // Nothing else may have kept the others from being tried: only a law that builds on the broken one says so.
    for law in report.laws where law.law != mutant.breaks {
      if case .undecided(let reason) = law.outcome, reason.hasPrefix("\(mutant.breaks) was broken on the way") {
        continue
      }
      #expect(law.outcome == .kept, "\(law)")
    }
  }

  @Test func `every law has a mutant`() {
    #expect(Set(Mutant.allCases.map(\.breaks)) == Set(Law.allCases))
  }
}
