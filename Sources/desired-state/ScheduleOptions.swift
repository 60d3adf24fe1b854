public import ArgumentParser
public import DesiredState

/// When a follower looks, and when it applies.
struct ScheduleOptions: ParsableArguments {
  @Option(help: "The time between polls: 30s, 5m.") var interval = TimeSpan(argument: "30s")!
  @Option(help: "How far each interval may be off, from 0 to 1; spreads a fleet.") var jitter: Double = 0.1
  @Option(help: "Make the first poll after a part of this time, by chance: 30s spreads a fleet that starts together.")
  var startSpread: TimeSpan?
  @Option(
    help: ArgumentHelp(
      "Look at sources at these times only: 22:00-04:00, 'Sat,Sun 00:00-24:00'; several separated by ';'.",
      valueName: "times"))
  var hours: String?
  @Option(
    help: ArgumentHelp("Contact nothing at these times, because it is known to be down.", valueName: "times"))
  var downtime: String?
  @Option(
    help: ArgumentHelp(
      "Apply what is adopted at these times only; it is fetched and verified at any time.", valueName: "times"))
  var applyHours: String?
  @Option(
    help: ArgumentHelp(
      """
      The time zone of all times: a name (Europe/Berlin), or a rule (CET-1CEST,M3.5.0,M10.5.0/3), which needs no zone \
      data on this device. (default: the device's own)
      """, valueName: "zone"))
  var timeZone: String?
  @Flag(help: "Apply an adopted state only when 'desired-state approve' allows it.") var hold = false
  @Option(
    help: ArgumentHelp(
      "Which of several sources decides: the first that answers, or the newest state of all that answer.",
      valueName: "first|newest"))
  var prefer = Reconciler.SourcePreference.first

  func validate() throws {
    guard interval.duration > .zero else { throw ValidationError("--interval must be more than 0.") }
    guard (0...1).contains(jitter) else { throw ValidationError("--jitter must be from 0 to 1.") }
    for (name, text) in [("hours", hours), ("downtime", downtime), ("apply-hours", applyHours)] {
      do {
        _ = try text.map { try WeeklyHours($0) }
      } catch {
        throw ValidationError("--\(name): \(error)")
      }
    }
    guard timeZone == nil || hours != nil || downtime != nil || applyHours != nil else {
      throw ValidationError("--time-zone goes with --hours, --downtime or --apply-hours.")
    }
  }

  func schedule() async throws -> Schedule {
    let zone: TimeZoneRules
    do {
      zone = if let timeZone { try await TimeZoneRules.named(timeZone) } else { await TimeZoneRules.device() }
    } catch {
      throw ValidationError("--time-zone: \(error)")
    }
    func times(_ text: String?) throws -> WeeklyHours? { try text.map { try WeeklyHours($0, in: zone) } }
    return Schedule(
      interval: interval.duration, jitter: jitter, startSpread: startSpread?.duration ?? .zero,
      hours: try times(hours), downtime: try times(downtime), applyHours: try times(applyHours), holdsUpdates: hold)
  }
}

extension Reconciler.SourcePreference: ExpressibleByArgument {}
