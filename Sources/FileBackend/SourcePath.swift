import DesiredState
import DesiredStateSupport
import Glibc

/// The path of a source as it is known by.
enum SourcePath {
  /// The path made absolute, without empty and `.` components.
  ///
  /// Symbolic links are not resolved, and for their sake `..` is left alone too: `a/..` is another place than `.` if `a`
  /// is a link. So the result depends on the text alone, and is the same whether or not anything is there.
  static func absolute(_ path: String) -> String {
    let whole = path.hasPrefix("/") ? path : Files.join(workingDirectory(), path)
    return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
  }

  private static func workingDirectory() -> String {
    // getcwd(3): with a null buffer glibc allocates one as long as needed.
    guard let buffer = getcwd(nil, 0) else { return "/" }
    defer { free(buffer) }
    return String(cString: buffer)
  }
}
