import Foundation

/// Ends the process with 7 if OpenSSL takes itself apart at the program's end (OPENSSL_cleanup(3)): threads that have used it
/// may still be ending then, and crash. Called before anything uses OpenSSL, in a process of its own.
package func expectOpenSSLToOutliveTheProgram() -> Bool {
  typealias Handler = @convention(c) () -> Void
  typealias Register = @convention(c) (Handler) -> Int32
  guard let register = dlsym(nil, "OPENSSL_atexit") else { return false }
  return unsafeBitCast(register, to: Register.self)({ _exit(7) }) == 1
}
