import DesiredStateSupport
import Foundation
import Testing

@testable import SSHSignatures

@Suite("Times in allowed_signers files")
struct AllowedSignersTimestampTests {
  @Test func `A time in UTC is read to the second`() {
    let times: [(String, TimeInterval)] = [
      ("20230101Z", 1_672_531_200), ("202301011230Z", 1_672_576_200), ("20230101123045Z", 1_672_576_245),
      ("20230101z", 1_672_531_200), ("20230101UTC", 1_672_531_200), ("20230101123045utc", 1_672_576_245),
      ("20240229Z", 1_709_164_800), ("20000229Z", 951_782_400), ("19700102Z", 86_400), ("19700101000001Z", 1),
      ("20380120Z", 2_147_558_400), ("99991231235959Z", 253_402_300_799),
    ]
    for (text, seconds) in times {
      #expect(AllowedSignersTimestamp.parse(text) == Date(timeIntervalSince1970: seconds), "\(text)")
      let written = AllowedSignersTimestamp.format(Date(timeIntervalSince1970: seconds))
      #expect(AllowedSignersTimestamp.parse(written) == Date(timeIntervalSince1970: seconds), "\(written)")
    }
  }

  @Test func `What is no time is refused`() {
    let texts = [
      "", "Z", "UTC", "2023", "202301", "2023010", "202301011", "20230101123", "2023010112304", "202301011230450",
      "20230001Z", "20231301Z", "20230100Z", "20230132Z", "20230229Z", "20240230Z", "21000229Z", "20230431Z",
      "202301012400Z", "202301011260Z", "20230101123060Z", "2023-01-01", "20230101T1230Z", "20230101 Z", " 20230101Z",
      "20230101ZZ", "20230101X", "+2023010Z", "2023 1 1Z", "٢٠٢٣٠١٠١Z", "19691231Z", "19700101Z", "00000101Z",
      "20230101Z\u{301}",
    ]
    for text in texts {
      #expect(AllowedSignersTimestamp.parse(text) == nil, "\(text)")
    }
  }

  /// ssh-keygen reads a local time as standard time also in summer, when clocks show another.
  @Test func `A local time is read as ssh-keygen reads it, in winter and in summer`() async throws {
    let timeZone = "CET-1CEST,M3.5.0,M10.5.0/3"
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey()
    let armored = try keygen.sign([1], with: key)
    for (local, universal) in [("20230115120000", "20230115110000Z"), ("20230715120000", "20230715110000Z")] {
      for (isAccepted, second) in [(false, -1.0), (true, 0.0)] {
        let start = try #require(AllowedSignersTimestamp.parse(universal))
        let time = AllowedSignersTimestamp.format(start.addingTimeInterval(second))
        let verdict = try keygen.verifies(
          armored, of: [1], allowedSigners: "alice valid-after=\"\(local)\" \(key.publicLine)", principal: "alice",
          namespace: "desired-state", time: time, timeZone: timeZone)
        #expect(verdict == isAccepted, "\(local) at \(time)")
      }
    }
    // In a process of its own, because the time zone is the whole process's.
    await #expect(processExitsWith: .success) {
      setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1)
      tzset()
      for (local, universal) in [("20230115120000", "20230115110000Z"), ("20230715120000", "20230715110000Z")] {
        let time = try #require(AllowedSignersTimestamp.parse(local))
        #expect(time == AllowedSignersTimestamp.parse(universal))
      }
    }
  }
}
