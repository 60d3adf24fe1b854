import CCurl

/// OpenSSL, which libcurl shares with whatever else in a program uses it (libgit2 by way of libssh2, for one).
package enum TLSLibrary {
  /// Lets the program's end leave OpenSSL's tables alone: threads that have used it may still be ending. The first to use
  /// OpenSSL in a program decides, so everything of ours that may be the first calls this before.
  ///
  /// - Returns: whether it can be used.
  package static func prepare() -> Bool { ccurl_prepare_openssl() == 1 }
}
