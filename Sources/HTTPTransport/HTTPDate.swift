import CCurl
import FoundationEssentials

/// The date of a header field (RFC 9110 section 5.6.7), in any of its three forms.
public enum HTTPDate {
  /// Seconds since 1970-01-01T00:00:00Z, or nil if the text is no date. More forms than the standard's are read.
  public static func secondsSince1970(_ text: String) -> Int? {
    // curl_getdate(3): -1 if the text cannot be parsed; the second argument is unused.
    let seconds = curl_getdate(text, nil)
    return seconds == -1 ? nil : Int(seconds)
  }

  /// How far a time, in seconds since 1970, is ahead of this machine's clock.
  package static func secondsSinceNow(_ time: Int) -> Double { Double(time) - Date().timeIntervalSince1970 }
}
