import DesiredState
import FileBackend
import Foundation

// The keys that count, and the disk of this device.
let trust = try await AllowedSigners.read("allowed_signers")
let store = try await StateStore.open("store")
let board = Board(folder: "board")

let reconciler = Reconciler(
  sources: [FileBackend(path: "drop")],
  store: store,
  configuration: .init(policy: .signatures(by: trust), device: "board-7")
) { update in
  try await board.apply(update)
}

switch try await reconciler.runOnce() {
case .current:
  print("the board is up to date")
case .rejected(let error):
  print("the board stays as it is: \(error)")
  exit(3)
case .applyFailed(let error):
  print("not all of it could be shown: \(error)")
  exit(1)
case .absent(let absence):
  print("nothing is published: \(absence)")
  exit(5)
case .unavailable(let error):
  print("the source cannot be reached: \(error)")
  exit(4)
case .held, .resting:
  print("it is not the time for it")
}
