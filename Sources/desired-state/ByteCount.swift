import ArgumentParser

/// A number of bytes as people write it: `65536`, `500K`, `1M`, `2G`; the letters count by 1,024, as curl's do.
struct ByteCount: ExpressibleByArgument, Sendable {
  let bytes: UInt64

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = UInt64(digits), number > 0 else { return nil }
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
  }
}
