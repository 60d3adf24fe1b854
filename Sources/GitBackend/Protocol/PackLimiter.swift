import CZlib

/// Watches a pack on its way in: how many objects, how long each will be, how much all of them (gitformat-pack(5)).
///
/// libgit2 has no such limits: it would unpack an object of 10 GB because the pack says that it is one. So every byte
/// passes here first, and the headers of objects and deltas are believed only as far as zlib confirms them.
final class PackLimiter {
  private enum State {
    case header
    case entry
    case baseOffset
    case baseName(Int)
    case content
    case trailer(Int)
    case end
  }

  /// Bounds on a pack.
  struct Bounds: Sendable {
    /// Bytes on the wire.
    var packSize: UInt64
    var objectCount: UInt32
    /// Bytes of one object.
    var objectSize: UInt64
    /// Bytes of all objects and deltas together.
    var totalSize: UInt64
    /// Bytes of what a delta makes, or is made from. Both are in memory at once when it is resolved.
    var deltaSize: UInt64 = .max
  }

  var bounds: Bounds
  /// Is handed the small objects as they pass; nil if nothing looks at them.
  var observer: PackObserver?
  private var state = State.header
  private var pending: [UInt8] = []
  private var remaining: UInt32 = 0
  private var received: UInt64 = 0
  /// The bytes of all objects and deltas that have begun.
  private(set) var total: UInt64 = 0
  /// Of the object that is being read.
  private var type: UInt8 = 0
  private var size: UInt64 = 0
  private var inflated: UInt64 = 0
  /// Where the object that is being read begins, and where its base begins; 0 if that is not known.
  private var start: UInt64 = 0
  private var base: UInt64 = 0
  private var isBaseBegun = false
  private var baseName: [UInt8] = []
  /// The beginning of a delta, until it has told its two sizes.
  private var delta: [UInt8]? = nil
  private var shift: UInt64 = 0
  private var stream = z_stream()
  private var isInflating = false
  private var scratch = [UInt8](repeating: 0, count: 64 << 10)

  /// How many objects the pack says it has; nil before that was read.
  private(set) var objectCount: UInt32?

  init(_ bounds: Bounds) { self.bounds = bounds }

  deinit { if isInflating { inflateEnd(&stream) } }

  /// Lets bytes pass.
  ///
  /// - Throws: ``GitProtocolError``; what the observer throws.
  func pass(_ bytes: [UInt8]) throws {
    received += UInt64(bytes.count)
    guard received <= bounds.packSize else { throw Self.exceeded("the pack is longer than \(bounds.packSize) bytes") }
    var rest = bytes[...]
    while !rest.isEmpty {
      switch state {
      case .header: try header(&rest)
      case .entry:
        if shift == 0 { start = received - UInt64(rest.count) }
        try entry(&rest)
      case .baseOffset: try baseOffset(rest.removeFirst())
      case .baseName(let left):
        let taken = min(left, rest.count)
        baseName += rest.prefix(taken)
        rest = rest.dropFirst(taken)
        if taken == left { try begin() } else { state = .baseName(left - taken) }
      case .content:
        try content(&rest)
      case .trailer(let left):
        let taken = min(left, rest.count)
        rest = rest.dropFirst(taken)
        state = taken == left ? .end : .trailer(left - taken)
      case .end: throw Self.violation("bytes follow its end")
      }
    }
  }

  /// The pack must be over.
  func finish() throws {
    guard case .end = state else { throw Self.violation("it ends too early") }
  }

  private func header(_ rest: inout ArraySlice<UInt8>) throws {
    let taken = min(12 - pending.count, rest.count)
    pending += rest.prefix(taken)
    rest = rest.dropFirst(taken)
    guard pending.count == 12 else { return }
    let count = pending[8...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard pending.starts(with: "PACK".utf8), pending[4...6].allSatisfy({ $0 == 0 }), [2, 3].contains(pending[7]) else {
      throw Self.violation("it does not begin as a pack does")
    }
    guard count <= bounds.objectCount else {
      throw Self.exceeded("the pack has \(count) objects, more than \(bounds.objectCount)")
    }
    objectCount = count
    remaining = count
    nextEntry()
  }

  private func nextEntry() {
    state = remaining == 0 ? .trailer(20) : .entry
    shift = 0
    size = 0
  }

  private func entry(_ rest: inout ArraySlice<UInt8>) throws {
    let byte = rest.removeFirst()
    if shift == 0 {
      type = byte >> 4 & 7
      size = UInt64(byte & 15)
      shift = 4
    } else {
      guard shift < 60 else { throw Self.violation("the size of an object in it has no end") }
      size |= UInt64(byte & 0x7f) << shift
      shift += 7
    }
    guard byte & 0x80 == 0 else { return }
    try count(size)
    switch type {
    case 1...4: try begin()
    case 6:
      base = 0
      isBaseBegun = false
      state = .baseOffset
    case 7:
      baseName = []
      state = .baseName(20)
    default: throw Self.violation("it holds an object of an unknown type")
    }
  }

  /// gitformat-pack(5): how far back the base begins, of 7 bits a byte, with one added for each byte that follows.
  private func baseOffset(_ byte: UInt8) throws {
    guard base < 1 << 56 else { throw Self.violation("the offset of a base in it has no end") }
    base = (isBaseBegun ? (base + 1) << 7 : 0) | UInt64(byte & 0x7f)
    isBaseBegun = true
    guard byte & 0x80 == 0 else { return }
    guard base > 0, base < start else { throw Self.violation("a delta in it has no base") }
    base = start - base
    try begin()
  }

  private func count(_ size: UInt64) throws {
    guard size <= bounds.objectSize else {
      throw Self.exceeded("an object of \(size) bytes is in the pack, the limit is \(bounds.objectSize)")
    }
    total += size
    guard total <= bounds.totalSize else {
      throw Self.exceeded("the objects of the pack are larger than \(bounds.totalSize) bytes in all")
    }
  }

  private func begin() throws {
    if isInflating {
      inflateReset(&stream)
    } else {
      guard czlib_inflate_init(&stream) == Z_OK else { throw Self.violation("zlib cannot be started") }
      isInflating = true
    }
    inflated = 0
    delta = type >= 6 ? [] : nil
    state = .content
    let base: PackObserver.Base? =
      type == 6 ? .offset(base) : type == 7 ? ObjectID(bytes: baseName).map { .name($0) } : nil
    try observer?.begin(type: type, size: size, at: start, base: base)
  }

  private func content(_ rest: inout ArraySlice<UInt8>) throws {
    var code: Int32 = Z_OK
    var produced = 0
    let consumed = rest.withUnsafeBufferPointer { input in
      scratch.withUnsafeMutableBufferPointer { output in
        // zlib reads the input and never writes it; its interface is older than const.
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.avail_in = UInt32(input.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        code = inflate(&stream, Z_NO_FLUSH)
        produced = output.count - Int(stream.avail_out)
        return input.count - Int(stream.avail_in)
      }
    }
    rest = rest.dropFirst(consumed)
    inflated += UInt64(produced)
    guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR, inflated <= size else {
      throw Self.violation("an object in it is damaged")
    }
    observer?.append(scratch.prefix(produced))
    if let begun = delta {
      let known = begun + scratch.prefix(min(produced, Self.maximumDeltaHeader - begun.count))
      delta = known
      if let (base, result) = try sizes(ofDelta: known) {
        guard max(base, result) <= bounds.deltaSize else {
          throw Self.exceeded(
            "a delta in the pack makes \(result) bytes of \(base), the limit before a signature is trusted is \(bounds.deltaSize)"
          )
        }
        try count(result)
        delta = nil
      }
    }
    guard code == Z_STREAM_END else { return }
    guard delta == nil else { throw Self.violation("a delta in it does not say how long its result is") }
    guard inflated == size else { throw Self.violation("an object in it is shorter than it says") }
    try observer?.end()
    remaining -= 1
    nextEntry()
  }

  /// Two numbers below 2⁶³, of 7 bits a byte.
  private static let maximumDeltaHeader = 18

  /// A delta begins with two numbers: how long its base is, and how long what it makes; nil if they are not complete yet.
  ///
  /// - Throws: ``GitProtocolError`` for a number that no delta needs, however libgit2 would read it.
  private func sizes(ofDelta bytes: [UInt8]) throws -> (base: UInt64, result: UInt64)? {
    var numbers: [UInt64] = []
    var value: UInt64 = 0
    var shift: UInt64 = 0
    for byte in bytes where numbers.count < 2 {
      guard shift < 63 else { throw Self.violation("the size in a delta has no end") }
      value |= UInt64(byte & 0x7f) << shift
      shift += 7
      guard byte & 0x80 == 0 else { continue }
      numbers.append(value)
      (value, shift) = (0, 0)
    }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
  }

  private static func exceeded(_ what: String) -> GitProtocolError {
    GitProtocolError(.tooLarge, "\(what); the repository holds more than this device's limits allow")
  }

  private static func violation(_ what: String) -> GitProtocolError {
    GitProtocolError(.violation, "the pack that came cannot be used: \(what)")
  }
}
