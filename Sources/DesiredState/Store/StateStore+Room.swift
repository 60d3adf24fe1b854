import DesiredStateSupport
import Glibc

/// Room on the disk, before anything is fetched.
extension StateStore {
  /// Makes room for the documents of a state, as far as their sizes are declared. A size above the limit of one document says
  /// nothing: it is a mistake, or the document will be refused when it is read.
  ///
  /// What the state would push out of the kept ones when it is adopted goes now, if it is in the way: the adopted, the
  /// applied and a rolled-back state stay, whatever happens.
  ///
  /// - Throws: ``VerificationError`` with `no-space` if they do not fit.
  nonisolated func makeRoom(
    for state: VerifiedState, _ missing: [DocumentReference], limits: Limits
  ) async throws {
    let needed = missing.reduce(UInt64(state.manifestBytes.count)) { sum, document in
      let size = document.advisorySize.flatMap { $0 <= limits.documentSize ? $0 : nil } ?? 0
      let (total, isOver) = sum.addingReportingOverflow(size)
      return isOver ? .max : total
    }
    if try fits(needed) { return }
    try await dropDispensable(sparing: state.manifest)
    guard try !fits(needed) else { return }
    try? await collectGarbage()
    throw noSpace(
      state,
      sizeLimit.map { "it needs \(needed) bytes more, and the store may have \($0) in all" }
        ?? "it needs \(needed) bytes more than are free on the disk of \(path)")
  }

  nonisolated private func fits(_ needed: UInt64) throws(FileError) -> Bool {
    if let sizeLimit {
      let (total, isOver) = try blobs.totalSize().addingReportingOverflow(needed)
      if isOver || total > sizeLimit { return false }
    }
    // What an earlier try left of the same documents is on the disk already.
    let (room, isOver) = try Files.freeSpace(at: blobs.directory).addingReportingOverflow(blobs.draftedSize())
    return isOver || needed <= room
  }

  /// Gives up states that are only kept to go back to.
  ///
  /// - Returns: whether there were any.
  @discardableResult
  func dropDispensable(sparing manifest: StateManifest) throws -> Bool {
    let needed = [record.adopted?.revision, record.applied?.revision, record.rollback?.from.revision].compactMap(\.self)
    let kept = record.kept.filter(needed.contains)
    guard kept != record.kept else { return false }
    try change { $0.keep(kept) }
    try collectGarbage(sparing: manifest)
    return true
  }

  nonisolated func noSpace(_ state: VerifiedState, _ reason: String) -> VerificationError {
    VerificationError(
      .noSpace, "there is no room for the state: \(reason); make room, or publish something smaller",
      version: state.manifest.version)
  }
}

extension VerificationError.Code {
  /// There is no room for the documents on this device.
  public static let noSpace = VerificationError.Code(rawValue: "no-space")
}

extension FileError {
  /// Whether the disk, or this user's part of it, is full.
  package var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }
}
