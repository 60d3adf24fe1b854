import ArgumentParser

/// A length of time as people write it: `500ms`, `30s`, `5m`, `2h`, `7d`.
struct TimeSpan: ExpressibleByArgument {
  let duration: Duration
  private let text: String

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits), number <= 1_000_000_000 else { return nil }
    switch argument.dropFirst(digits.count) {
    case "ms": duration = .milliseconds(number)
    case "s": duration = .seconds(number)
    case "m": duration = .seconds(number * 60)
    case "h": duration = .seconds(number * 3600)
    case "d": duration = .seconds(number * 86400)
    default: return nil
    }
    text = argument
  }

  var defaultValueDescription: String { text }
}
