package import FoundationEssentials

/// Dates and times as RFC 3339 writes them.
package enum Timestamp {
  /// In UTC, to the second: `2026-11-22T10:00:00Z`.
  package static func text(_ date: Date) -> String { Date.ISO8601FormatStyle().format(date) }

  /// Any RFC 3339 date-time, with or without a fraction of a second; nil if it is none.
  package static func parse(_ text: String) -> Date? { try? Date.ISO8601FormatStyle().parse(text.uppercased()) }
}
