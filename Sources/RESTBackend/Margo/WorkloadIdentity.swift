import DesiredState
import DesiredStateSupport

/// Names of fleet managers and their clients, as the Margo WFM Identity Profile has them (SPIFFE IDs).
enum WorkloadIdentity {
  /// The manager that a client with these URI names belongs to; nil if none of them is a SPIFFE ID.
  ///
  /// - Throws: `SourceAddressError` if there is a SPIFFE ID that is not the only name, or not that of a client.
  static func manager(ofClientNamed uris: [String]) throws(SourceAddressError) -> String? {
    guard let id = uris.first(where: { $0.hasPrefix("spiffe://") }) else { return nil }
    // X.509-SVID section 2: exactly one URI.
    guard uris.count == 1 else {
      throw SourceAddressError("the client certificate has \(uris.count) URI names; a SPIFFE certificate has one")
    }
    // spiffe: / / <trust domain> / margo / wfm / <id> / client / <client>
    let parts = id.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 8, !parts[2].isEmpty, parts[3] == "margo", parts[4] == "wfm", isSegment(parts[5]),
      parts[6] == "client", isSegment(parts[7])
    else {
      throw SourceAddressError(
        "the client certificate is for \(quoted(id, limit: 200)); one for a fleet manager's client is for spiffe://<trust domain>/margo/wfm/<manager>/client/<client>"
      )
    }
    return parts[0...5].joined(separator: "/")
  }

  /// SPIFFE ID section 2.2: letters, digits, dots, dashes and underscores, and neither `.` nor `..`.
  private static func isSegment(_ text: Substring) -> Bool {
    !text.isEmpty && text != "." && text != ".."
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || "._-".utf8.contains($0)
      }
  }
}
