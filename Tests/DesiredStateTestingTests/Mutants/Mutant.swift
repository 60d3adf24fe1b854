import DesiredStateTesting

/// A broken backend: an honest ``MockBackend`` with one plausible mistake, which breaks exactly one law.
///
/// They prove that the kit finds mistakes. Add one for every mistake met in the field.
enum Mutant: String, CaseIterable, Sendable, Hashable {
  /// Waits for news of publications and never polls the present one.
  case watchesWithoutLooking

  /// Reads every document to find out that nothing has changed.
  case readsToSayUnchanged
  /// Knows the device's state by its own marker only, and not by the revision.
  case needsItsMarker

  /// Offers the states of the past one after the other, as an event log does, and not the newest.
  case replaysHistory

  /// Makes an empty state of nothing: a fleet would remove everything.
  case emptyForAbsent
  /// Calls it unchanged when the state was withdrawn.
  case unchangedForAbsent

  /// Makes nothing of an empty state: a fleet would keep what it should remove.
  case absentForEmpty

  /// Swallows the error: calls it unchanged when the source cannot be reached.
  case unchangedWhenUnreachable
  /// Swallows the error: calls it absent when the source cannot be reached.
  case absentWhenUnreachable
  /// Lets an error of its own transport through.
  case throwsItsOwnErrors
  /// Waits for an answer as long as it takes.
  case outwaitsItsDeadline

  /// Treats documents as text and tidies their line ends.
  case tidiesLineEnds
  /// Stops reading where its buffer ends.
  case cutsLongDocuments
  /// Takes an empty document for a missing one.
  case missesEmptyDocuments
  /// Reads documents ahead that the device holds.
  case readsHeldDocuments

  /// Gives an earlier version of a document when the new one has not come yet.
  case fillsGapsWithOldDocuments
  /// Never looks again at a state that was incomplete once.
  case remembersTheIncomplete

  /// Goes on with a fetch that was cancelled.
  case ignoresCancellationOfFetch
  /// Goes on reading a document when that was cancelled.
  case ignoresCancellationOfReading
  /// Goes on delivering an acknowledgement when that was cancelled.
  case ignoresCancellationOfAcknowledging
  /// Calls a cancellation an error of the source.
  case mistakesCancellationForFailure
  /// Stays busy for ever once an operation was cancelled.
  case staysBusyAfterCancellation

  /// Reads the manifest to its end before it looks at the limit.
  case buffersManifest
  /// Reads a document to its end before it gives any of it out.
  case buffersDocuments
  /// Has no limit for signatures.
  case readsAnySignature

  /// Vouches for whatever it fetched.
  case vouchesForEverything
  /// Calls a bad signature trouble with the line.
  case mistakesTamperingForFailure

  /// Delivers an acknowledgement again under another name.
  case acknowledgesTwice
  /// Delivers an acknowledgement after the next one.
  case swapsAcknowledgements
  /// Says an acknowledgement is delivered when it could not be.
  case swallowsUndelivered
  /// Declares nothing, takes acknowledgements all the same, and drops them.
  case dropsAcknowledgements

  /// Keeps the question in a place that all callers share.
  case mixesUpReaders
  /// Serves one caller, and throws at the others.
  case servesOneCallerOnly

  /// Knows only its own markers, and starts again from nothing with those of the process before.
  case forgetsAtRestart
  /// Calls its source something else each time.
  case renamesItsSource

  /// Shows its token in an error's message.
  case showsItsToken
  /// Shows its token in an error's underlying error.
  case showsItsTokenInside
  /// Says only that something failed.
  case saysTooLittle
  /// Says that it is no use to try again when it is.
  case givesUp
  /// Does not say how long the source wants to be left alone.
  case hidesPatience

  /// Leaves a file open at every fetch.
  case leaksDescriptors
  /// Leaves a thread running at every fetch.
  case leaksThreads
  /// Keeps what every fetch brought.
  case leaksMemory

  /// Keeps the signatures in a reader of its own, and looks for them there when it verifies.
  case hidesEvidenceInItsReader
  /// Does not say where a state came from.
  case dropsOrigin
  /// Makes the state anew when it verifies, and forgets where it came from.
  case losesOriginWhenVerifying

  /// Says that nothing is published, and not which part is missing.
  case saysNothingOfAbsence
  /// Keeps the bytes of a document that it never checked, and gives them for ever.
  case keepsWrongBytes

  /// Serves the files that manifests name, and no trust update.
  case hidesTrustUpdates
  /// Takes a trust update for the one that was there under its number before.
  case keepsTrustUpdates
  /// Follows trust updates by itself, and passes over a number that is missing.
  case skipsTrustUpdates
  /// Follows trust updates by itself, and takes one that the keys before it did not sign.
  case trustsNewKeysAlone
  /// Follows trust updates by itself, and takes one that its own keys did not sign.
  case trustsOldKeysAlone
  /// Follows trust updates by itself, and takes the signature of a key for states.
  case mixesUpRoles
  /// Follows trust updates by itself, and does not see that one has another's number.
  case replaysTrustUpdates
  /// Follows trust updates by itself, as many as there are.
  case followsEndlessChains

  /// Says that it resumes, and reads from the beginning.
  case restartsFromNothing
  /// Begins one byte too late.
  case resumesAtTheWrongPlace

  /// The one law that it breaks.
  var breaks: Law {
    switch self {
    case .watchesWithoutLooking: .firstFetch
    case .readsToSayUnchanged, .needsItsMarker: .unchanged
    case .replaysHistory: .newPublication
    case .emptyForAbsent, .unchangedForAbsent: .absent
    case .absentForEmpty: .emptyState
    case .unchangedWhenUnreachable, .absentWhenUnreachable, .throwsItsOwnErrors, .outwaitsItsDeadline: .unreachable
    case .tidiesLineEnds, .cutsLongDocuments, .missesEmptyDocuments, .readsHeldDocuments: .documentBytes
    case .fillsGapsWithOldDocuments, .remembersTheIncomplete: .tornPublication
    case .ignoresCancellationOfFetch, .ignoresCancellationOfReading, .ignoresCancellationOfAcknowledging,
      .mistakesCancellationForFailure, .staysBusyAfterCancellation:
      .cancellation
    case .buffersManifest, .buffersDocuments, .readsAnySignature: .limits
    case .vouchesForEverything, .mistakesTamperingForFailure: .tampering
    case .acknowledgesTwice, .swapsAcknowledgements, .swallowsUndelivered, .dropsAcknowledgements: .acknowledgement
    case .mixesUpReaders, .servesOneCallerOnly: .concurrency
    case .forgetsAtRestart, .renamesItsSource: .restart
    case .showsItsToken, .showsItsTokenInside, .saysTooLittle, .givesUp, .hidesPatience: .errors
    case .leaksDescriptors, .leaksThreads, .leaksMemory: .leaks
    case .hidesEvidenceInItsReader, .dropsOrigin, .losesOriginWhenVerifying: .decoration
    case .saysNothingOfAbsence, .keepsWrongBytes: .repair
    case .restartsFromNothing, .resumesAtTheWrongPlace: .resuming
    case .hidesTrustUpdates, .keepsTrustUpdates, .skipsTrustUpdates, .trustsNewKeysAlone, .trustsOldKeysAlone,
      .mixesUpRoles, .replaysTrustUpdates, .followsEndlessChains:
      .trustUpdates
    }
  }
}
