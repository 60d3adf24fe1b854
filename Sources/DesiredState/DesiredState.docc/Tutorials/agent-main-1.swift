import DesiredState
import FileBackend

// The keys that count, and the disk of this device.
let trust = try await AllowedSigners.read("allowed_signers")
let store = try await StateStore.open("store")
