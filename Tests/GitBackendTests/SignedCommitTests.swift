import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// A plain tree, signed by the git program, and its refusals.
@Suite(.timeLimit(.minutes(5))) struct SignedCommitTests {
  @Test func `a repository that an operator commits to with git commit -S is followed`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "recipe: 7", "line/belt": "speed: 2", ".gitignore": "*.swp"])
    #expect(try await device.look() == ["press": "recipe: 7", "line/belt": "speed: 2"])
    #expect(try await device.look() == nil)
    try await repository.commit(["press": "recipe: 8", "line/belt": "speed: 2"])
    #expect(try await device.look() == ["press": "recipe: 8", "line/belt": "speed: 2"])
  }

  @Test func `an unsigned commit is refused, and the next signed one adopted`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "1"])
    try await device.look()
    try await repository.commit(["press": "2"], signer: nil)
    #expect(try await device.refusal().code == .signatureMissing)
    try await repository.commit(["press": "3"])
    #expect(try await device.look() == ["press": "3"])
  }

  @Test func `a commit signed by a key that is not listed is refused`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "1"], signer: "stranger")
    #expect(try await device.refusal().code == .signerUntrusted)
  }

  @Test func `a key that is listed for another namespace is refused`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository, policy: try repository.keys.policy(namespaces: "desired-state"))
    try await repository.commit(["press": "1"])
    #expect(try await device.refusal().code == .signerUntrusted)
  }

  @Test func `a signature made in the wrong namespace is refused`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository, policy: try repository.keys.policy(namespaces: "git,desired-state"))
    try await repository.commit(["press": "1"], signer: nil)
    // By hand what git would do, in the namespace of manifests.
    let commit = try await repository.git("cat-file", "commit", "HEAD") + "\n"
    let signature = try await run(
      ["ssh-keygen", "-q", "-Y", "sign", "-n", "desired-state", "-f", repository.keys.folder["operator"]],
      input: Array(commit.utf8))
    let field = "gpgsig " + signature.replacingOccurrences(of: "\n", with: "\n ")
    let signed = commit.replacingOccurrences(of: "\n\n", with: "\n\(field)\n\n")
    let id = try await repository.git(["hash-object", "-t", "commit", "-w", "--stdin"], input: Array(signed.utf8))
    try await repository.git("update-ref", "refs/heads/main", id)
    #expect(try await device.refusal().code == .signatureInvalid)
  }

  @Test func `a changed commit under an old signature is refused`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "1"])
    let commit = try await repository.git("cat-file", "commit", "HEAD") + "\n"
    let forged = commit.replacingOccurrences(of: "\n\nchange", with: "\n\nforged")
    let id = try await repository.git(["hash-object", "-t", "commit", "-w", "--stdin"], input: Array(forged.utf8))
    try await repository.git("update-ref", "refs/heads/main", id)
    #expect(try await device.refusal().code == .signatureInvalid)
  }

  @Test(arguments: ["PGP SIGNATURE", "SIGNED MESSAGE"])
  func `a signature of another kind is refused in words that say so`(kind: String) async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "1"], signer: nil)
    let commit = try await repository.git("cat-file", "commit", "HEAD") + "\n"
    let field = "gpgsig -----BEGIN \(kind)-----\n \n iQ==\n -----END \(kind)-----"
    let signed = commit.replacingOccurrences(of: "\n\n", with: "\n\(field)\n\n")
    let id = try await repository.git(["hash-object", "-t", "commit", "-w", "--stdin"], input: Array(signed.utf8))
    try await repository.git("update-ref", "refs/heads/main", id)
    let error = try await device.refusal()
    #expect(error.code == .signatureInvalid)
    #expect(error.reason.contains(kind == "PGP SIGNATURE" ? "OpenPGP" : "X.509"))
    #expect(error.reason.contains("gpg.format=ssh"))
  }

  @Test func `a signed annotated tag vouches for the unsigned commit it leads to`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository, "ref=v1")
    try await repository.commit(["press": "1"], signer: nil)
    try await repository.git("tag", "-s", "-m", "release\n\n-----BEGIN nothing", "v1")
    #expect(try await device.look() == ["press": "1"])
    #expect(try await device.look() == nil)
    // A tag that is not signed, on the same commit.
    try await repository.git("tag", "-a", "-m", "release", "v2")
    #expect(try await Device(repository, "ref=v2").refusal().code == .signatureMissing)
  }

  @Test func `a threshold of two wants two keys, those of the tag and of the commit for instance`() async throws {
    let repository = try await OperatorRepository()
    let policy = try repository.keys.policy(["operator", "second"], threshold: 2)
    try await repository.commit(["press": "1"])
    #expect(try await Device(repository, policy: policy).refusal().code == .thresholdNotMet)
    try await repository.git("tag", "-u", repository.keys.folder["second"], "-m", "release", "v1")
    #expect(try await Device(repository, "ref=v1", policy: policy).look() == ["press": "1"])
    try await repository.git("tag", "-u", repository.keys.folder["operator"], "-m", "release", "v2")
    #expect(try await Device(repository, "ref=v2", policy: policy).refusal().code == .thresholdNotMet)
  }

  @Test func `a drop in the tree needs its own signature, whoever signed the commit`() async throws {
    let repository = try await OperatorRepository()
    let publication = HandMade.drop
    try await repository.commit(publication)
    let device = try Device(repository, policy: try repository.keys.policy(namespaces: "git,desired-state"))
    #expect(try await device.refusal().code == .signatureMissing)
  }
}

/// Files made by hand, without this package's writer.
enum HandMade {
  /// An unsigned drop with one document.
  static var drop: [String: [UInt8]] {
    let digest = Digest.of("hello".utf8)
    let manifest = """
      {"manifestVersion": 1, "deployments": [{"deploymentId": "a", "digest": "\(digest)", "url": "documents/\(digest.fileName)"}]}
      """
    return ["manifest.json": Array(manifest.utf8), "documents/\(digest.fileName)": Array("hello".utf8)]
  }
}
