import DesiredState
import DropPublisher

/// Signs with a text that names the manifest, or fails, or does something while others wait for it.
package struct TextSigner: ManifestSigner {
  private let action: @Sendable ([UInt8]) async throws -> Void

  package init(action: @escaping @Sendable ([UInt8]) async throws -> Void = { _ in }) { self.action = action }

  package func sign(_ manifest: [UInt8]) async throws -> [UInt8] {
    try await action(manifest)
    return Array("signature of \(Digest.of(manifest))\n".utf8)
  }
}
