import DesiredStateSupport

/// The places of a drop's files, relative to its root, over every transport.
public enum DropLayout {
  /// The manifest, which is put in place last.
  public static let manifest = "manifest.json"
  /// The directory of documents.
  public static let documents = "documents"
  /// The directory of signatures.
  public static let signatures = "signatures"
  /// The directory of bundles.
  public static let bundles = "bundles"
  /// The directory of receipts.
  public static let acknowledgements = "acknowledgements"
  /// The directory of trust updates.
  public static let trust = "trust"
  /// The directory of the manifests that were published before. No device reads it: it is for publishers who go back.
  package static let history = "history"
  /// What stands before the path of a trust update in a plain tree, from the tree's root.
  public static let plainTrust = ".desired-state/"

  /// The directories of a drop, which alone do not make a state.
  public static let folders: Set<String> = [documents, signatures, bundles, acknowledgements, trust, history]

  /// The signatures of one manifest: they are named by its digest, so that the signatures of two manifests never mix.
  public static func signatures(of revision: Revision) -> String { "\(signatures)/\(revision.digest.fileName).sig" }

  /// A trust update by its number, from 1.
  public static func trustUpdate(_ number: UInt64) -> String { "\(trust)/\(number).json" }

  /// A manifest that was published, by its version.
  package static func published(_ version: UInt64) -> String { "\(history)/\(version).json" }

  /// The signatures of a trust update.
  public static func trustSignatures(_ number: UInt64) -> String { trustUpdate(number) + ".sig" }

  /// A document by its content.
  public static func document(_ digest: Digest) -> String { "\(documents)/\(digest.fileName)" }

  /// A bundle by its content.
  public static func bundle(_ digest: Digest) -> String { "\(bundles)/\(digest.fileName).tar.gz" }

  /// Whether a name is that of a temporary file or another hidden one, which no reader looks at.
  public static func isHidden(_ name: String) -> Bool { name.utf8.first == UInt8(ascii: ".") }

  /// Whether a directory without ``manifest`` is a drop in which nothing is published (yet), rather than a plain one: it
  /// has nothing but a drop's folders, or has documents or signatures as only a drop names them.
  ///
  /// - Parameters:
  ///   - names: the names in the directory.
  ///   - list: lists the folder of that name; nil if it is no directory.
  public static func isUnpublished<Failure>(
    holding names: [String], listing list: (String) throws(Failure) -> [String]?
  ) throws(Failure) -> Bool {
    let names = names.filter { !isHidden($0) }
    if names.allSatisfy(folders.contains) { return true }
    for folder in [documents, signatures] where names.contains(folder) {
      let isDrop = try list(folder)?.contains {
        Digest(fileName: $0.hasSuffix(".sig") ? $0.dropLast(4) : $0[...]) != nil
      }
      if isDrop == true { return true }
    }
    return false
  }

  /// Whether a path names a bundle, going by its ending.
  public static func isBundle(_ path: String) -> Bool { path.hasSuffix(".tar.gz") || path.hasSuffix(".tgz") }

  /// The path of a document below the root: where its `url` leads, or where its digest says if it has none.
  ///
  /// The `url` is a relative reference (RFC 3986 section 4.2) of which only the path is of use here. It can only lead
  /// down: no scheme, no authority, no `..`, nothing that decodes to one.
  ///
  /// - Throws: ``VerificationError`` with `document-missing`: a place that is not below the root is not in the drop.
  public static func path(of document: DocumentReference) throws(VerificationError) -> String {
    let usual = Self.document(document.digest)
    guard let url = document.url, url != usual else { return usual }
    switch path(relative: url) {
    case .success(let path): return path
    case .failure(let fault):
      throw VerificationError(
        .documentMissing,
        "document '\(document.id)' has the url \(quoted(url, limit: 120)), which leads nowhere in the drop: \(fault.text)",
        evidence: ["document \(document.id)"])
    }
  }

  /// The path of a bundle below the root, as of a document.
  public static func path(of bundle: StateManifest.BundleReference) throws(VerificationError) -> String {
    switch path(relative: bundle.url) {
    case .success(let path): return path
    case .failure(let fault):
      throw VerificationError(.documentMissing, "the bundle's url leads nowhere in the drop: \(fault.text)")
    }
  }

  private struct Fault: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  private static func path(relative url: String) -> Result<String, Fault> {
    guard !url.isEmpty else { return .failure(Fault("it is empty")) }
    guard !url.hasPrefix("/") else { return .failure(Fault("it is absolute")) }
    guard !url.utf8.contains(UInt8(ascii: "?")), !url.utf8.contains(UInt8(ascii: "#")) else {
      return .failure(Fault("it has a query or a fragment, and a file has neither"))
    }
    var path: [String] = []
    for (index, segment) in url.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).enumerated()
    {
      // RFC 3986 section 4.2: a colon in the first segment ends a scheme.
      guard index > 0 || !segment.contains(UInt8(ascii: ":")) else { return .failure(Fault("it names a scheme")) }
      guard let name = PercentEncoding.decode(segment) else {
        return .failure(Fault("its percent-encoding cannot be read"))
      }
      switch name {
      case ".": continue
      case "": return .failure(Fault("a part of its path is empty"))
      case "..": return .failure(Fault("it contains '..'"))
      default: break
      }
      guard !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0) else {
        return .failure(Fault("a part of its path contains an encoded slash or NUL"))
      }
      path.append(name)
    }
    guard !path.isEmpty else { return .failure(Fault("it names no file")) }
    return .success(path.joined(separator: "/"))
  }
}
