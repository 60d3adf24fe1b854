import Glibc

extension Substring.UTF8View {
  /// What comes after a text that this begins with; nil if it does not begin with it.
  ///
  /// Compared by bytes and not by characters: markers are read at every poll.
  package func after(_ prefix: String) -> Substring.UTF8View? {
    var prefix = prefix
    let isBegin = prefix.withUTF8 { prefix in
      withContiguousStorageIfAvailable { bytes in
        prefix.isEmpty
          || bytes.count >= prefix.count && memcmp(bytes.baseAddress!, prefix.baseAddress!, prefix.count) == 0
      } ?? starts(with: prefix)
    }
    return isBegin ? dropFirst(prefix.utf8.count) : nil
  }
}
