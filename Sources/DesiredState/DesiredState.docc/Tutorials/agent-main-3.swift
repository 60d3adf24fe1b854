import DesiredState
import FileBackend

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

print(try await reconciler.runOnce())
