/// The ways that a repository is reached on.
package enum Way: String, CaseIterable, Sendable {
  case file, https, httpsVersion0, ssh, sshVersion0

  package func road(to repository: OperatorRepository) async throws -> any RoadUnderTest {
    switch self {
    case .file: FileRoad(repository)
    case .https: try await WebRoad(repository)
    case .httpsVersion0: try await WebRoad(repository, speaksVersion2: false)
    case .ssh: try await SecureShellRoad(repository)
    case .sshVersion0: try await SecureShellRoad(repository, speaksVersion2: false)
    }
  }
}
