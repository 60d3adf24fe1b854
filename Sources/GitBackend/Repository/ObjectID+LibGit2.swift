import CGit2

extension ObjectID {
  init(_ pointer: UnsafePointer<git_oid>) {
    let bytes = withUnsafeBytes(of: pointer.pointee.id) { Array($0) }
    // Always 20 bytes: git_oid is an array of GIT_OID_RAWSZ.
    self.init(bytes: bytes)!
  }

  init(_ id: git_oid) { self = withUnsafePointer(to: id) { ObjectID($0) } }

  /// As libgit2 has it.
  var git: git_oid {
    var id = git_oid()
    git_oid_fromstr(&id, hexadecimal)
    return id
  }
}
