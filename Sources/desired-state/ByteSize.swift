import ArgumentParser

/// A number of bytes as people write it: `500000`, `64K`, `20M`, `2G`; the letters count by 1,024.
struct ByteSize: ExpressibleByArgument {
  let bytes: UInt64
  private let text: String

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = UInt64(digits) else { return nil }
    let shift: UInt64
    switch argument.dropFirst(digits.count).uppercased() {
    case "", "B": shift = 0
    case "K", "KIB": shift = 10
    case "M", "MIB": shift = 20
    case "G", "GIB": shift = 30
    case "T", "TIB": shift = 40
    default: return nil
    }
    guard number <= UInt64.max >> shift else { return nil }
    bytes = number << shift
    text = argument
  }

  var defaultValueDescription: String { text }
}
