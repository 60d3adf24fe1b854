/// The ways that a repository is reached on.
package enum Way: String, CaseIterable, Sendable {
  case file, https, httpsVersion0, ssh, sshVersion0

  package func road(to repository: OperatorRepository) async throws -> any TransportUnderTest {
    switch self {
    case .file: GitOnDisk(repository)
    case .https: try await GitOverHTTP(repository)
    case .httpsVersion0: try await GitOverHTTP(repository, speaksVersion2: false)
    case .ssh: try await GitOverSSH(repository)
    case .sshVersion0: try await GitOverSSH(repository, speaksVersion2: false)
    }
  }
}
