/// What every backend must do: the laws of the contract, one case of the kit for each.
///
/// The article <doc:The-Laws> says why each exists.
public enum Law: Int, CaseIterable, Sendable, Hashable, Codable, Comparable {
  /// With no current revision and a published state: changed, with that state.
  case firstFetch = 1
  /// With the current revision: unchanged, reading no document, and no manifest where the source can tell.
  case unchanged
  /// After a new publication: changed, to the new one; never an older one after a newer one was seen.
  case newPublication
  /// Reachable but nothing published: absent. Never "changed, with nothing in it".
  case absent
  /// An explicitly empty state: changed, with zero documents.
  case emptyState
  /// Unreachable: throws, before the deadline. Never unchanged, never absent.
  case unreachable
  /// Document bytes are exactly the published bytes; a held digest is not read again.
  case documentBytes
  /// A torn publication gives the old state or throws; never a mixture.
  case tornPublication
  /// Cancellation ends any operation promptly, wherever it waits, and leaves the backend usable.
  case cancellation
  /// Limits hold while reading, not after: an endless manifest or document stops at the limit.
  case limits
  /// A changed byte anywhere (manifest, signature, document) is refused by verify, with the right code.
  case tampering
  /// An acknowledgement delivered twice counts once; per document, order is kept; an undeliverable one throws.
  case acknowledgement
  /// Concurrent operations on one backend are safe.
  case concurrency
  /// A backend made anew with the same configuration carries on from the current revision.
  case restart
  /// Errors say what happened, whether to retry, and when; none shows a secret.
  case errors
  /// Nothing leaks: files, threads, connections and memory are level after hundreds of fetches.
  case leaks
  /// Evidence and origin survive decoration: a backend wrapped in a pass-through decorator gives the same verdicts.
  case decoration
  /// Absent names the missing part; a corrupted byte that is repaired at the source heals, whatever validators it shows.
  case repair
  /// A document is read from any offset; a source that declares that it resumes is not read from the beginning for it.
  case resuming
  /// A trust update that a state needs is given as it was published; one that does not carry the chain on leads nowhere.
  case trustUpdates

  /// Its number in the contract, from 1.
  public var number: Int { rawValue }

  /// What it says, in one sentence or two.
  public var statement: String {
    switch self {
    case .firstFetch: "With no current revision and a published state: changed, with that state."
    case .unchanged:
      "With the current revision: unchanged, reading no document, and no manifest where the source can tell."
    case .newPublication:
      "After a new publication: changed, to the new one; never an older one after a newer one was seen."
    case .absent: "Reachable but nothing published: absent. Never \"changed, with nothing in it\"."
    case .emptyState: "An explicitly empty state: changed, with zero documents."
    case .unreachable: "Unreachable: throws, before the deadline. Never unchanged, never absent."
    case .documentBytes: "Document bytes are exactly the published bytes; a held digest is not read again."
    case .tornPublication: "A torn publication gives the old state or throws; never a mixture."
    case .cancellation:
      "Cancellation ends any operation promptly, wherever it waits, and leaves the backend usable."
    case .limits: "Limits hold while reading, not after: an endless manifest or document stops at the limit."
    case .tampering:
      "A changed byte anywhere (manifest, signature, document) is refused by verify, with the right code."
    case .acknowledgement:
      "An acknowledgement delivered twice counts once; per document, order is kept; an undeliverable one throws."
    case .concurrency: "Concurrent operations on one backend are safe."
    case .restart: "A backend made anew with the same configuration carries on from the current revision."
    case .errors: "Errors say what happened, whether to retry, and when; none shows a secret."
    case .leaks: "Nothing leaks: files, threads, connections and memory are level after hundreds of fetches."
    case .decoration:
      "Evidence and origin survive decoration: a backend wrapped in a pass-through decorator gives the same verdicts."
    case .repair:
      "Absent names the missing part; a corrupted byte that is repaired at the source heals, whatever validators it shows."
    case .resuming:
      "A document is read from any offset; a source that declares that it resumes is not read from the beginning for it."
    case .trustUpdates:
      "A trust update that a state needs is given as it was published; one that does not carry the chain on leads nowhere."
    }
  }

  public static func < (left: Law, right: Law) -> Bool { left.rawValue < right.rawValue }
}

extension Law: CustomStringConvertible {
  /// `law 4, absent`
  public var description: String {
    let name =
      switch self {
      case .firstFetch: "first fetch"
      case .unchanged: "unchanged"
      case .newPublication: "new publication"
      case .absent: "absent"
      case .emptyState: "empty state"
      case .unreachable: "unreachable"
      case .documentBytes: "document bytes"
      case .tornPublication: "torn publication"
      case .cancellation: "cancellation"
      case .limits: "limits"
      case .tampering: "tampering"
      case .acknowledgement: "acknowledgement"
      case .concurrency: "concurrency"
      case .restart: "restart"
      case .errors: "errors"
      case .leaks: "leaks"
      case .decoration: "decoration"
      case .repair: "repair"
      case .resuming: "resuming"
      case .trustUpdates: "trust updates"
      }
    return "law \(number), \(name)"
  }
}
