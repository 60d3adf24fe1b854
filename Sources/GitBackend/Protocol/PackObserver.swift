/// Sees the commits, tags and small trees of a pack while it passes a ``PackLimiter``, before anything is written.
///
/// Servers put commits and tags first, then trees, then files. So it is known who signed a commit before the rest of it
/// is here, and the commits of a history can be read without what they hold.
final class PackObserver {
  enum Kind: UInt8, Sendable {
    case commit = 1
    case tree = 2
    case blob = 3
    case tag = 4
  }

  /// Which object a delta builds on.
  enum Base {
    /// The one that begins there in the pack.
    case offset(UInt64)
    case name(ObjectID)
  }

  /// The bytes that a commit or a tag may have, and a tree that is looked at.
  static let largestObject = 1 << 20
  /// How much is remembered for deltas that build on it, in bytes.
  private static let memory = 32 << 20

  private let kinds: Set<Kind>
  private let see: (Kind, [UInt8]) throws -> Void
  private let pass: () throws -> Void
  /// By where they begin in the pack.
  private var seen: [UInt64: (kind: Kind, bytes: [UInt8])] = [:]
  /// Where the objects with these names begin: servers that do not count in offsets name the base of a delta.
  private var places: [ObjectID: UInt64] = [:]
  private var remembered = 0
  private var current: (kind: Kind, base: [UInt8]?, start: UInt64)?
  private var bytes: [UInt8] = []

  /// - Parameters:
  ///   - kinds: which objects are looked at.
  ///   - see: is handed each of them, with its bytes.
  ///   - pass: is called when another object begins, before its content comes.
  init(
    of kinds: Set<Kind>, see: @escaping (Kind, [UInt8]) throws -> Void, pass: @escaping () throws -> Void = {}
  ) {
    (self.kinds, self.see, self.pass) = (kinds, see, pass)
  }

  func begin(type: UInt8, size: UInt64, at start: UInt64, base: Base?) throws {
    current = nil
    bytes = []
    guard size <= Self.largestObject else { return try pass() }
    if let kind = Kind(rawValue: type), kinds.contains(kind) {
      current = (kind, nil, start)
    } else if let known = place(of: base).flatMap({ seen[$0] }) {
      current = (known.kind, known.bytes, start)
    } else {
      try pass()
    }
  }

  private func place(of base: Base?) -> UInt64? {
    switch base {
    case .offset(let offset): offset
    case .name(let name): places[name]
    case nil: nil
    }
  }

  func append(_ more: ArraySlice<UInt8>) {
    if current != nil { bytes += more }
  }

  func end() throws {
    guard let object = current else { return }
    current = nil
    var whole = bytes
    if let base = object.base {
      guard let result = PackDelta.apply(bytes, to: base, limit: Self.largestObject) else {
        throw GitProtocolError(.violation, "the pack that came cannot be used: a delta in it does not fit its base")
      }
      whole = result
    }
    remembered += whole.count
    if remembered <= Self.memory {
      seen[object.start] = (object.kind, whole)
      places[try ObjectID(of: whole, object.kind)] = object.start
    }
    try see(object.kind, whole)
  }
}

/// A delta: how to make an object from another one (gitformat-pack(5), deltified representation).
enum PackDelta {
  /// Nil if the delta does not fit the base, or makes more than `limit` bytes.
  static func apply(_ delta: [UInt8], to base: [UInt8], limit: Int) -> [UInt8]? {
    var rest = delta[...]
    func number() -> Int? {
      var value = 0
      var shift = 0
      while let byte = rest.popFirst(), shift < 42 {
        value |= Int(byte & 0x7f) << shift
        shift += 7
        if byte & 0x80 == 0 { return value }
      }
      return nil
    }
    guard number() == base.count, let size = number(), size <= limit else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(size)
    while let code = rest.popFirst() {
      if code & 0x80 != 0 {
        var values = (offset: 0, count: 0)
        for bit in 0..<4 where code & (1 << bit) != 0 {
          guard let byte = rest.popFirst() else { return nil }
          values.offset |= Int(byte) << (8 * bit)
        }
        for bit in 0..<3 where code & (0x10 << bit) != 0 {
          guard let byte = rest.popFirst() else { return nil }
          values.count |= Int(byte) << (8 * bit)
        }
        if values.count == 0 { values.count = 0x10000 }
        guard values.offset + values.count <= base.count else { return nil }
        result += base[values.offset..<values.offset + values.count]
      } else {
        guard code > 0, rest.count >= Int(code) else { return nil }
        result += rest.prefix(Int(code))
        rest = rest.dropFirst(Int(code))
      }
      guard result.count <= size else { return nil }
    }
    return result.count == size ? result : nil
  }
}
