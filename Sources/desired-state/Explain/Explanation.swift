import DesiredState

/// A code as `status`, events and receipts show it: what it means, and what a person does about it.
struct Explanation: Encodable {
  enum Kind: String, Encodable, CaseIterable {
    case rejection, unavailability, absence, waiting, apply, store

    /// What it says of the device, as the title of a section.
    var title: String {
      switch self {
      case .rejection: "A state was refused; the last good one stays (exit status 3)"
      case .unavailability: "A source did not answer, or made no sense (exit status 4)"
      case .absence: "A source publishes nothing (exit status 5)"
      case .waiting: "An adopted state waits before it is applied"
      case .apply: "A state could not be put to work, or was left again"
      case .store: "The device's own store (exit status 1)"
      }
    }
  }

  let code: String
  let kind: Kind
  let meaning: String
  let action: String

  private init(_ kind: Kind, _ code: String, _ meaning: String, _ action: String) {
    (self.kind, self.code, self.meaning, self.action) = (kind, code, meaning, action)
  }

  private static func rejection(_ code: VerificationError.Code, _ meaning: String, _ action: String) -> Explanation {
    Explanation(.rejection, code.rawValue, meaning, action)
  }

  private static func unavailability(_ code: BackendError.Code, _ meaning: String, _ action: String) -> Explanation {
    Explanation(.unavailability, code.rawValue, meaning, action)
  }

  private static func absence(_ part: Absence.Part, _ meaning: String, _ action: String) -> Explanation {
    Explanation(.absence, part.rawValue, meaning, action)
  }

  private static func store(_ code: StoreError.Code, _ meaning: String, _ action: String) -> Explanation {
    Explanation(.store, code.rawValue, meaning, action)
  }

  /// All codes of a kind. A test compares them with those that the library has.
  static let all: [Explanation] = rejections + unavailabilities + others

  private static let rejections: [Explanation] = [
    rejection(
      .signatureMissing, "No signature came with the manifest.",
      "If the publication is still being copied, wait: the device looks again at every poll. Else publish with --key, or sign it with 'desired-state sign'."
    ),
    rejection(
      .signatureInvalid, "A signature does not fit the manifest, or cannot be read.",
      "The manifest was changed after it was signed, or the signature is damaged. Compare the source with the publisher's copy, and publish again."
    ),
    rejection(
      .signerUntrusted, "The signature is good, but its key may not sign this, now.",
      "Compare the key in the message with the file of --trust: is it listed, with namespaces=\"desired-state\" (\"git\" for commits), within its dates, and not revoked? Sign with a listed key, or publish a trust update."
    ),
    rejection(
      .thresholdNotMet, "Fewer distinct trusted keys have signed than the device wants.",
      "Let the others sign: 'desired-state sign DROP --key KEY'. The device looks again by itself."),
    rejection(
      .digestMismatch, "A document has other bytes than the signed manifest says.",
      "It was changed or damaged after publishing: on the source's disk, in a cache, or on the way. Put the document right, or publish again."
    ),
    rejection(
      .versionRollback, "The version is below one that this device has adopted.",
      "An old state is being played back, or two publishers number apart. To go back on purpose: 'desired-state publish --from VERSION'. If the device moved to another fleet: 'desired-state reset --floor'."
    ),
    rejection(
      .versionEquivocation, "The version was adopted before, with other content.",
      "Two publications have one version. Find out who published, and publish the right one with a higher version."),
    rejection(
      .historyRewritten, "The branch no longer contains the adopted commit.",
      "It was force-pushed, or is another repository. Restore it, or merge the adopted commit; if it was meant, 'desired-state reset --refusals' does not help: publish a drop, whose version counts and not the history."
    ),
    rejection(
      .behind, "The source is older than the adopted state, and may catch up.",
      "Wait for the mirror. If it stays so, see why it does not fetch."),
    rejection(
      .expired, "The manifest's time is over.",
      "Renew it: 'desired-state publish --renew'. If it was renewed, the source is stale (a cache, a mirror), or this device's clock is ahead: 'desired-state status' shows it."
    ),
    rejection(
      .tooOld, "The manifest was issued longer ago than --max-age allows, or does not say when.",
      "Renew it: 'desired-state publish --renew'; or allow more."),
    rejection(
      .timeJump, "The manifest was issued further in the future than can be believed.",
      "Set this device's clock, or the publisher's. The device looks again at every poll."),
    rejection(
      .wrongDevice, "The manifest names another device.",
      "Does this device follow another's source, or go by another name? Compare with --device; publish with the right --device."
    ),
    rejection(
      .deviceMissing, "The manifest names no device, and --require-device demands it.",
      "Publish with --device."),
    rejection(
      .wrongContent, "A plain tree stands where a drop is followed or demanded, or a drop where a plain tree is.",
      "See whether manifest.json is there, and whether the address leads to the drop. A device that has followed a signed drop is not served a plain tree."
    ),
    rejection(
      .trustMissing, "The manifest needs a trust update that is not at the source.",
      "Copy the drop's folder trust/ as well; the device looks again at every poll."),
    rejection(
      .trustInvalid, "A trust update is not signed as it must be, cannot be read, or belongs to another chain.",
      "It needs signatures by the keys of the update before and its own, in the namespace desired-state-trust. 'desired-state trust show' shows which update the device follows."
    ),
    rejection(
      .manifestMalformed, "The manifest cannot be read as one.",
      "The message says where. Is it a manifest, or an error page with status 200? JSON in UTF-8, each key once, times as RFC 3339."
    ),
    rejection(
      .limitExceeded, "A count or a size is over its limit.",
      "Publish less at once, in more drops; or if it is meant, see the limits in the documentation."),
    rejection(
      .noSpace, "The state does not fit on this device's disk, or in --max-store.",
      "Make room or raise --max-store. What fits next is adopted by itself."),
    rejection(
      .documentMissing, "A document that the manifest names is not at the source.",
      "If the publication is still being copied, wait. Else copy documents/ as well; after --prune of a shared drop, publish again."
    ),
    rejection(
      .duplicateDocument, "Two documents have one id.", "Give each document an id of its own, and publish again."),
    rejection(
      .unsafeDocumentID, "A document's id cannot safely be a file's name.",
      "Ids are relative paths: no '..', no control character, no two that differ in case or form only, none that is a folder of another."
    ),
    rejection(.unsupportedDigest, "A digest is not SHA-256.", "Publish with sha256 digests."),
    rejection(
      .versionJump, "The version is too far ahead to be believed.",
      "Versions count up by one. If one was published by mistake, publish the right one; a device that adopted it needs 'desired-state reset --floor VERSION'."
    ),
  ]

  private static let unavailabilities: [Explanation] = [
    unavailability(
      .unreachable, "The source does not answer, or is not there.",
      "Is the address right, the disk mounted, the cable in, the name known, the firewall open? It is tried again, later and later."
    ),
    unavailability(
      .timeout, "The source did not answer in time.",
      "If the line is slow, allow more: --timeout, --stall. Else look at the server."),
    unavailability(
      .unauthorized, "The source wants credentials, or better ones.",
      "Renew the token (--token-file), the certificate (--tls-cert, --tls-key) or the SSH key (--ssh-key). Files are read again when they change."
    ),
    unavailability(
      .forbidden, "The source knows who asks, and refuses.",
      "Give this device's account the right at the source, or use another account."),
    unavailability(
      .rateLimited, "The source asks for patience.",
      "Nothing: it is asked again when it wishes. A longer --interval helps."),
    unavailability(.serverError, "The source failed on its side.", "Look at the server's log. It is tried again."),
    unavailability(
      .tlsUntrusted, "The source could not prove who it is.",
      "Is its certificate valid, for this host, by an authority of --tls-ca? Is this device's clock right? Does a proxy open TLS? For SSH: is the host's key in --known-hosts?"
    ),
    unavailability(
      .protocolViolation, "The source's answer does not follow its protocol.",
      "Is the address that of a drop, a repository or a manager, and not of a page or a captive portal? The message quotes the answer."
    ),
    unavailability(
      .busy, "The source, or this device's own work on it, is still busy with something else.",
      "Nothing: it is tried again. If it stays so, a disk or a share hangs."),
    unavailability(
      .unsupported, "The source cannot do this at all.",
      "Acknowledgements can go elsewhere: --acknowledge-to."),
  ]

  private static let others: [Explanation] = [
    absence(
      .reference, "The repository does not have the branch, tag or commit.", "Push it, or correct ref= in the address."),
    absence(.path, "The path is not there.", "Publish there, or correct the path."),
    absence(.documents, "A plain source has no document.", "Put documents there, or correct the address."),
    absence(
      .manifest, "The drop has no manifest.json.",
      "Publish. Nothing is removed from the device meanwhile: only a verified manifest does that."),
    Explanation(
      .waiting, "approval", "--hold: an operator has not approved the state.", "'desired-state approve --store DIR'."),
    Explanation(
      .waiting, "apply-hours", "It is not within --apply-hours.", "Wait; 'desired-state status' says until when."),
    Explanation(
      .apply, "apply-failed", "The agent or the command of --on-apply did not succeed.",
      "The message says how it ended, and the log what it said. It is tried again, later and later; 'desired-state reset --refusals' tries at once."
    ),
    Explanation(
      .apply, "trial-failed", "The applied state did not prove itself by --check, and the one before is applied again.",
      "Publish a better version; the failed one is not tried again."),
    Explanation(
      .apply, "operator", "An operator went back by 'desired-state rollback'.",
      "The device stays there until a newer version is published, or 'desired-state resume'."),
    store(
      .locked, "Another process works on the store.",
      "One agent for each store: end the other, or give this one its own --store."),
    store(
      .damaged, "The store lost its record, or it cannot be read.",
      "Keep a copy for whom it may tell something, then remove the store: the device adopts what is published, as a new one does."
    ),
    store(
      .wrongFormat, "The store was written by a newer version of this program.", "Install that version, or a newer one."
    ),
    store(
      .documentDamaged, "A kept document has other bytes than it was stored with.",
      "It is fetched again by itself; check the disk: 'desired-state status --check'."),
    store(
      .notAStore, "The directory is not a store.", "Correct --store; 'follow' makes a store in an empty directory."),
    store(
      .wrongType, "Something else stands where the store has a file or a directory.",
      "Remove it, or give another --store."),
    store(.notStorable, "A state cannot be stored as it is.", "The message says why; publish it otherwise."),
    store(
      .notKept, "The store does not keep that state any more.",
      "'desired-state history' lists the kept ones; --keep keeps more."),
  ]

  /// The page `Documentation/Troubleshooting.md`.
  static var page: String {
    var text = """
      # Troubleshooting, by code

      <!-- Written by `desired-state explain --markdown`. Change Sources/desired-state/Explain/Explanation.swift. -->

      A device that is not up to date says why: `desired-state status --store DIR`, events, receipts and
      `desired-state receipts` all show one of these codes. `desired-state explain CODE` says the same at a terminal.

      """
    for kind in Kind.allCases {
      text += "\n## \(kind.title)\n\n| Code | Meaning | What to do |\n| --- | --- | --- |\n"
      for explanation in all where explanation.kind == kind {
        let cells = ["`\(explanation.code)`", explanation.meaning, explanation.action.replacing("|", with: "\\|")]
        text += "| \(cells.joined(separator: " | ")) |\n"
      }
    }
    return text
  }
}
