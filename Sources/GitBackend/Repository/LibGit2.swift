import CGit2
import HTTPTransport

/// libgit2 as a whole: entered once, when it is first needed, because that costs 3 MB and some milliseconds.
enum LibGit2 {
  /// It starts libssh2, which starts OpenSSL.
  private static let isReady: Bool = TLSLibrary.prepare() && git_libgit2_init() > 0

  /// Calls a function of libgit2 that answers 0, or a count, when it went well.
  ///
  /// git_error_last(3): the error belongs to the thread and to the call just made, so it is read here and nowhere else.
  @discardableResult
  static func call(_ doing: String, _ function: () -> Int32) throws(LibGit2Error) -> Int32 {
    guard isReady else { throw LibGit2Error(code: -1, message: "libgit2 cannot be started") }
    let code = function()
    guard code >= 0 else {
      let error = git_error_last()?.pointee
      let words = error?.message.map { String(cString: $0) } ?? "libgit2 says \(code)"
      throw LibGit2Error(code: code, area: error.map { UInt32($0.klass) } ?? 0, message: "cannot \(doing): \(words)")
    }
    return code
  }

  /// As ``call(_:_:)``, for what hands out a pointer that the caller has to free.
  static func make<Handle>(
    _ doing: String, _ function: (UnsafeMutablePointer<Handle?>) -> Int32
  ) throws(LibGit2Error) -> Handle {
    var handle: Handle?
    try call(doing) { function(&handle) }
    guard let handle else { throw LibGit2Error(code: -1, message: "cannot \(doing): libgit2 gave nothing") }
    return handle
  }
}

/// A call of libgit2 failed. Its messages name paths of this device and object ids, never the content of either.
struct LibGit2Error: Error, CustomStringConvertible {
  let code: Int32
  /// The part of libgit2 that it comes from, a `git_error_t`.
  var area: UInt32 = 0
  let message: String

  var description: String { message }
  /// The object or reference is not there.
  var isNotFound: Bool { code == GIT_ENOTFOUND.rawValue }
  /// An object is not what git would make: it came so, and is the same wherever it is kept. libgit2 looks at an object's
  /// name before its content.
  var isOfContent: Bool {
    !isNotFound
      && [GIT_ERROR_OBJECT, GIT_ERROR_TREE, GIT_ERROR_TAG, GIT_ERROR_INVALID].contains { $0.rawValue == area }
  }
  /// A pack on its way in is not counted.
  var isOfPack: Bool { area == GIT_ERROR_INDEXER.rawValue }
  /// It was told to stop.
  var isCancelled: Bool { code == GIT_EUSER.rawValue }
  /// Another process changed the reference first.
  var isContention: Bool {
    [GIT_EMODIFIED.rawValue, GIT_EEXISTS.rawValue, GIT_ELOCKED.rawValue].contains(code)
  }
}
