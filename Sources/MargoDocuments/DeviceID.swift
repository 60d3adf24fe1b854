/// The id of a device, or of one behind a gateway: parts between slashes, the gateway first.
///
/// Source: `DeviceId` of the Margo Workload Management API 1.0.0-rc.3. It is no global name: each client of a manager has
/// its own.
public struct DeviceID: Sendable, Hashable, CustomStringConvertible {
  /// `gateway1/deviceA`
  public let description: String

  /// - Returns: nil unless every part is one or more unreserved characters of RFC 3986, and neither `.` nor `..`.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard
      parts.allSatisfy({ part in
        !part.isEmpty && part != "." && part != ".." && part.utf8.allSatisfy(Self.isUnreserved)
      })
    else { return nil }
    description = text
  }

  /// The device that this one is right behind; nil if it is behind none.
  public var parent: DeviceID? {
    description.lastIndex(of: "/").flatMap { DeviceID(String(description[..<$0])) }
  }

  /// Behind how many devices it is.
  public var depth: Int { description.utf8.count { $0 == UInt8(ascii: "/") } }

  /// Whether it is behind a device, at any depth.
  public func isBehind(_ gateway: DeviceID) -> Bool { description.hasPrefix(gateway.description + "/") }

  /// RFC 3986 section 2.3.
  static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-._~".utf8.contains(byte)
    }
  }
}

extension DeviceID: Comparable {
  /// A gateway comes before the devices behind it.
  public static func < (left: DeviceID, right: DeviceID) -> Bool {
    (left.depth, left.description) < (right.depth, right.description)
  }
}

extension DeviceID: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = DeviceID(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a device id")
    }
    self = id
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
