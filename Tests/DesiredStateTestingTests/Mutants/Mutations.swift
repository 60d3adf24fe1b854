import DesiredState

@testable import DesiredStateTesting

extension Mutant {
  /// The mistake, made in one backend.
  func mutation(of mock: MockBackend, token: String) -> Mutation {
    switch self {
    case .watchesWithoutLooking: .watching(mock)
    case .readsToSayUnchanged: .readingToSayUnchanged(mock)
    case .needsItsMarker: .needingItsMarker()
    case .replaysHistory: .replayingHistory()
    case .emptyForAbsent: .emptyForAbsent()
    case .unchangedForAbsent: .unchangedForAbsent()
    case .absentForEmpty: .absentForEmpty()
    case .unchangedWhenUnreachable: .answering { $0.current == nil ? nil : .unchanged }
    case .absentWhenUnreachable: .answering { _ in .absent(.manifest, "nothing is published") }
    case .throwsItsOwnErrors: .throwingItsOwnErrors()
    case .outwaitsItsDeadline: .outwaitingItsDeadline()
    case .tidiesLineEnds: .changingPieces { $0.filter { $0 != UInt8(ascii: "\r") } }
    case .cutsLongDocuments: .cutting(at: 1 << 20)
    case .missesEmptyDocuments: .missingEmptyDocuments()
    case .readsHeldDocuments: .readingHeldDocuments()
    case .fillsGapsWithOldDocuments: .fillingGaps()
    case .remembersTheIncomplete: .rememberingTheIncomplete()
    case .ignoresCancellationOfFetch: .ignoringCancellation(of: .fetch)
    case .ignoresCancellationOfReading: .ignoringCancellation(of: .read)
    case .ignoresCancellationOfAcknowledging: .ignoringCancellation(of: .acknowledge)
    case .mistakesCancellationForFailure: .mistakingCancellation()
    case .staysBusyAfterCancellation: .stayingBusy()
    case .buffersManifest: .bufferingManifest()
    case .buffersDocuments: .bufferingDocuments()
    case .readsAnySignature: .readingAnySignature()
    case .vouchesForEverything: .vouching()
    case .mistakesTamperingForFailure: .mistakingTampering()
    case .acknowledgesTwice: .acknowledgingTwice()
    case .swapsAcknowledgements: .swappingAcknowledgements()
    case .swallowsUndelivered: .swallowingUndelivered()
    case .dropsAcknowledgements: .droppingAcknowledgements()
    case .mixesUpReaders: .mixingUpReaders()
    case .servesOneCallerOnly: .servingOneCaller()
    case .forgetsAtRestart: .forgettingAtRestart()
    case .renamesItsSource: .renamingItsSource()
    case .showsItsToken: .failing { BackendError($0.code, "GET /?token=\(token) was not answered: \($0.message)") }
    case .showsItsTokenInside:
      .failing { BackendError($0.code, $0.message, underlying: TransportFailure(detail: token)) }
    case .saysTooLittle: .failing { BackendError($0.code, "failed") }
    case .givesUp: .failing { BackendError($0.code, $0.message, isRetryable: false) }
    case .hidesPatience: .failing { BackendError($0.code, $0.message) }
    case .leaksDescriptors: .leaking(Leak.descriptor)
    case .leaksThreads: .leaking(Leak.thread)
    case .leaksMemory: .leaking(Leak.memory)
    case .hidesEvidenceInItsReader: .hidingEvidence()
    case .dropsOrigin: .droppingOrigin()
    case .losesOriginWhenVerifying: .losingOrigin()
    case .saysNothingOfAbsence: .sayingNothingOfAbsence()
    case .keepsWrongBytes: .keepingWrongBytes()
    case .hidesTrustUpdates: .hidingTrustUpdates()
    case .keepsTrustUpdates: .keepingTrustUpdates()
    case .skipsTrustUpdates: .followingTrust(forgetting: .gaps)
    case .trustsNewKeysAlone: .followingTrust(forgetting: .oldKeys)
    case .trustsOldKeysAlone: .followingTrust(forgetting: .newKeys)
    case .mixesUpRoles: .followingTrust(forgetting: .roles)
    case .replaysTrustUpdates: .followingTrust(forgetting: .numbers)
    case .followsEndlessChains: .followingTrust(forgetting: .end)
    case .restartsFromNothing: .resuming { ResumingReader(base: $0, isRestarting: true) }
    case .resumesAtTheWrongPlace: .resuming { ResumingReader(base: $0, isRestarting: false) }
    }
  }
}

/// What a transport of a mutant's own would throw.
struct TransportFailure: Error {
  var detail: String
}
