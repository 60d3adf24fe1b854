import ArgumentParser
import DesiredState

/// How much a source may make this device read and keep.
struct LimitOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Refuse a longer manifest. (default: 20M)", valueName: "size")) var maxManifest: ByteCount?
  @Option(help: ArgumentHelp("Refuse longer signatures of one manifest, together. (default: 1M)", valueName: "size"))
  var maxSignatures: ByteCount?
  @Option(help: ArgumentHelp("Refuse a state of more documents. (default: 100000)", valueName: "number"))
  var maxDocuments: Int?
  @Option(help: ArgumentHelp("Refuse a longer document. (default: 4G)", valueName: "size")) var maxDocument: ByteCount?
  @Option(help: ArgumentHelp("Refuse a state whose documents are longer in all. (default: 16G)", valueName: "size"))
  var maxState: ByteCount?

  func validate() throws {
    if let maxDocuments, maxDocuments < 0 { throw ValidationError("--max-documents must not be below 0.") }
    for (flag, size) in [("--max-manifest", maxManifest), ("--max-signatures", maxSignatures)] {
      // These are kept in memory as a whole.
      if let size, size.bytes > 1 << 30 { throw ValidationError("\(flag) must be 1G at most.") }
    }
  }

  var limits: Limits {
    var limits = Limits()
    if let maxManifest { limits.manifestSize = Int(maxManifest.bytes) }
    if let maxSignatures { limits.evidenceSize = Int(maxSignatures.bytes) }
    if let maxDocuments { limits.documentCount = maxDocuments }
    if let maxDocument { limits.documentSize = maxDocument.bytes }
    if let maxState { limits.totalSize = maxState.bytes }
    return limits
  }
}
