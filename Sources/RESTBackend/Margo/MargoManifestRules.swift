import DesiredState
import DesiredStateSupport

/// What the Workload Management API demands of a manifest beyond what one of a drop has: `bundle` is always there, if only
/// as null; it is null for no deployments; and every deployment has its url.
///
/// It endorses nothing. It refuses a manifest that breaks the rules, before anything that it names is fetched.
struct MargoManifestRules: StateEvidence {
  let revision: Revision
  private let fault: String?

  init(of manifest: [UInt8], revision: Revision) {
    self.revision = revision
    fault = Self.fault(in: manifest)
  }

  func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement] {
    if let fault { throw VerificationError(.manifestMalformed, "the manifest cannot be used: \(fault)") }
    return []
  }

  /// The rule that is broken. Nil for bytes that are no manifest at all: the reading that follows says so.
  private static func fault(in bytes: [UInt8]) -> String? {
    var (hasBundle, isNull) = (false, false)
    var count = 0
    var withoutURL: String?
    do throws(JSONReader.Failure) {
      var reader = try JSONReader(bytes)
      try reader.object { reader, key throws(JSONReader.Failure) in
        switch key {
        case "bundle":
          hasBundle = true
          isNull = try reader.isNull()
          if !isNull { try reader.skip() }
        case "deployments":
          try reader.array { reader, index throws(JSONReader.Failure) in
            count += 1
            var hasURL = false
            try reader.object { reader, key throws(JSONReader.Failure) in
              if key == "url" {
                hasURL = try !reader.isNull()
                if hasURL { try reader.skip() }
              } else {
                try reader.skip()
              }
            }
            if !hasURL { withoutURL = withoutURL ?? "deployments[\(index)].url" }
          }
        default: try reader.skip()
        }
      }
    } catch {
      return nil
    }
    guard hasBundle else { return "'bundle' is missing; where there is none it is null" }
    if let withoutURL { return "\(withoutURL) is missing" }
    if count == 0, !isNull { return "'bundle' is not null, and there are no deployments for it" }
    return nil
  }
}
