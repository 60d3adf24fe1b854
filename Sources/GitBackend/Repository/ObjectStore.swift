import CGit2

/// The objects of a repository, or of a directory of objects without one.
///
/// Owns its C handles. Sound to send: every use of one goes through the lock in ``AsyncObjectStore``.
final class ObjectStore: @unchecked Sendable {
  let database: OpaquePointer
  let repository: OpaquePointer
  /// Whether there is a working tree beside it: then its branch belongs to who works there.
  let hasWorkingTree: Bool

  /// The repository in a directory.
  ///
  /// git_repository_open_bare(3): nothing is looked for elsewhere, and nothing that a configuration names is run. So it
  /// does not matter to whom the directory belongs.
  init(repository directory: RepositoryDirectory) throws(LibGit2Error) {
    let path = directory.path
    let repository: OpaquePointer = try LibGit2.make("open \(path)") { git_repository_open_bare($0, path) }
    self.repository = repository
    hasWorkingTree = directory.hasWorkingTree
    do {
      database = try LibGit2.make("open the objects of \(path)") { git_repository_odb($0, repository) }
    } catch {
      git_repository_free(repository)
      throw error
    }
  }

  /// The objects in a directory laid out as `.git/objects`, without references or configuration.
  init(objects path: String) throws(LibGit2Error) {
    let database: OpaquePointer = try LibGit2.make("open the objects in \(path)") { git_odb_open($0, path) }
    self.database = database
    hasWorkingTree = false
    do {
      repository = try LibGit2.make("use the objects in \(path)") { git_repository_wrap_odb($0, database) }
    } catch {
      git_odb_free(database)
      throw error
    }
  }

  deinit {
    git_repository_free(repository)
    git_odb_free(database)
  }

  // MARK: - Objects

  enum Kind: Sendable {
    case commit, tree, blob, tag, other

    init(_ type: git_object_t) {
      switch type {
      case GIT_OBJECT_COMMIT: self = .commit
      case GIT_OBJECT_TREE: self = .tree
      case GIT_OBJECT_BLOB: self = .blob
      case GIT_OBJECT_TAG: self = .tag
      default: self = .other
      }
    }
  }

  /// Whether an object is there, without reading it.
  func holds(_ id: ObjectID) -> Bool {
    var id = id.git
    return git_odb_exists(database, &id) == 1
  }

  /// An object's kind and length, without reading its content.
  func header(of id: ObjectID) throws(LibGit2Error) -> (kind: Kind, size: Int) {
    var oid = id.git
    var size = 0
    var type = GIT_OBJECT_INVALID
    try LibGit2.call("look at object \(id)") { git_odb_read_header(&size, &type, database, &oid) }
    return (Kind(type), size)
  }

  /// An object's content.
  func read(_ id: ObjectID) throws(LibGit2Error) -> [UInt8] {
    var oid = id.git
    let object: OpaquePointer = try LibGit2.make("read object \(id)") { git_odb_read($0, database, &oid) }
    defer { git_odb_object_free(object) }
    return Array(UnsafeRawBufferPointer(start: git_odb_object_data(object), count: git_odb_object_size(object)))
  }

  /// The branch that `HEAD` names; nil if it names none.
  var head: String? {
    let reference: OpaquePointer? = try? LibGit2.make("look up HEAD") { git_reference_lookup($0, repository, "HEAD") }
    guard let reference else { return nil }
    defer { git_reference_free(reference) }
    return git_reference_symbolic_target(reference).map { String(cString: $0) }
  }

  /// What a reference leads to, without peeling a tag; nil if there is none.
  func target(of reference: String) throws(LibGit2Error) -> ObjectID? {
    var oid = git_oid()
    do {
      try LibGit2.call("look up \(reference)") { git_reference_name_to_id(&oid, repository, reference) }
      return ObjectID(oid)
    } catch {
      if error.isNotFound { return nil }
      throw error
    }
  }

  /// The names of the references that begin with `prefix`.
  func references(beginningWith prefix: String) throws(LibGit2Error) -> [String] {
    let iterator: OpaquePointer = try LibGit2.make("list references") {
      git_reference_iterator_glob_new($0, repository, prefix + "*")
    }
    defer { git_reference_iterator_free(iterator) }
    var names: [String] = []
    var name: UnsafePointer<CChar>?
    // git_reference_next_name(3): GIT_ITEROVER at the end.
    while names.count < ReferenceQuery.limit, git_reference_next_name(&name, iterator) == 0, let name {
      names.append(String(cString: name))
    }
    return names
  }

  /// Looks for objects that other processes have added meanwhile.
  func refresh() { git_odb_refresh(database) }
}
