import ArgumentParser

/// A number of bytes as people write it: 65536, 500k, 1M, 2G; a thousand is 1000.
struct ByteCount: ExpressibleByArgument, Sendable {
  var bytes: Int

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    let factor: Int? =
      switch argument.dropFirst(digits.count).lowercased() {
      case "", "b": 1
      case "k", "kb": 1_000
      case "m", "mb": 1_000_000
      case "g", "gb": 1_000_000_000
      default: nil
      }
    guard let factor, let number = Int(digits), number > 0,
      case let (product, overflow) = number.multipliedReportingOverflow(by: factor), !overflow
    else { return nil }
    bytes = product
  }
}
