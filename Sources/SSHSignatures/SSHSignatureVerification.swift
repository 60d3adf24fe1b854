import DesiredStateSupport

extension SSHSignature {
  /// Checks that `publicKey` signed the message for the given namespace (PROTOCOL.sshsig section 3).
  ///
  /// Whose key it is, is another question: ask `AllowedSigners`. A security key's signature holds only if
  /// the key was touched for it, which sshd demands too and `ssh-keygen -Y verify` does not look at.
  ///
  /// Throws `SSHSignatureError`, which says why the signature does not hold.
  public func verify(_ message: Message, namespace expected: String) throws(SSHSignatureError) {
    // By bytes: two strings that Swift calls equal may be spelled differently.
    guard namespace.utf8.elementsEqual(expected.utf8) else {
      throw SSHSignatureError(
        .namespaceMismatch,
        "the signature was made for the namespace \(quoted(namespace)), not \(quoted(expected)); "
          + "sign with ssh-keygen -Y sign -n \(expected)")
    }
    let data = signedData(namespace: expected, messageDigest: message.digest(hashAlgorithm))
    try publicKey.verify(signature, of: data, demandsVerifiedUser: certificate?.demandsVerifiedUser ?? false)
  }

  /// Whether `verify` does not throw.
  public func isValid(for message: some Collection<UInt8>, namespace: String) -> Bool {
    (try? verify(Message(message), namespace: namespace)) != nil
  }
}
