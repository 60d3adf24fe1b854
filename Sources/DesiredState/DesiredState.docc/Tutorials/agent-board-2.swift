import DesiredState
import Foundation

/// A page as its document has it.
struct Page: Decodable {
  var text: String
}

/// A board that shows each file of a folder.
struct Board {
  var folder: String

  func apply(_ update: Update) async throws {
    for document in update.removed {
      try hide(document)
      try await update.report(DocumentStatus(documentID: document.id, state: .removed))
    }
    for document in update.added + update.modified {
      try await show(document)
      try await update.report(DocumentStatus(documentID: document.id, state: .installed))
    }
  }

  func show(_ document: Document) async throws {
    let page = try await document.decode(Page.self)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try page.text.write(toFile: "\(folder)/\(document.id)", atomically: true, encoding: .utf8)
  }

  /// May be asked twice, as after a power cut.
  func hide(_ document: Document) throws {
    let path = "\(folder)/\(document.id)"
    if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
  }
}
