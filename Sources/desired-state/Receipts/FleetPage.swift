import DesiredState
import DesiredStateSupport
import DropPublisher
import FoundationEssentials

/// The fleet as one page of HTML that needs nothing else: no network, no other file. It can be sorted and filtered, and
/// without scripts it is still a table.
struct FleetPage {
  let source: String
  let devices: [DeviceReceipts]
  let now: Date

  var html: String {
    var counts: [Condition: Int] = [:]
    var rows = ""
    for device in devices {
      let condition = Condition(device)
      counts[condition, default: 0] += 1
      rows += row(device, condition)
    }
    let script = Self.script
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
      script-src 'sha256-\(Self.hash(of: script))'">
      <title>Fleet: \(Self.escaped(source))</title>
      <style>\(Self.style)</style>
      </head>
      <body>
      <h1>\(devices.count) device\(devices.count == 1 ? "" : "s")</h1>
      <p>As their receipts tell it at <time>\(Timestamp.text(now))</time>, from <code>\(Self.escaped(source))</code>. \
      Times are those of each device's own clock.</p>
      <p class="counts">\(Self.summary(counts, versions: versions))</p>
      <form id="filter" role="search">
      <label>Find <input id="text" type="search" placeholder="device, version, commit, trouble"></label>
      <label>Show <select id="condition"><option value="">all</option>\(Self.options(counts))</select></label>
      <output id="shown"></output>
      </form>
      <table id="fleet">
      <thead><tr>\(Self.headings)</tr></thead>
      <tbody>
      \(rows)</tbody>
      </table>
      <script>\(script)</script>
      </body>
      </html>

      """
  }

  /// What an operator has to do about a device, the worst first.
  private enum Condition: String, CaseIterable {
    case invalid, trouble, silent, unsigned, unchecked, good

    init(_ device: DeviceReceipts) {
      switch device.proof {
      case .invalid: self = .invalid
      case _ where !device.troubles.isEmpty: self = .trouble
      case .missing: self = .silent
      case .unsigned: self = .unsigned
      case .unchecked: self = .unchecked
      case .signed: self = .good
      }
    }
  }

  // MARK: - Parts

  /// How many devices are on each version, the newest first.
  private var versions: [(UInt64, Int)] {
    var counts: [UInt64: Int] = [:]
    for device in devices { if let version = device.summary?.version { counts[version, default: 0] += 1 } }
    return counts.sorted { $0.key > $1.key }.map { ($0.key, $0.value) }
  }

  private static func summary(_ counts: [Condition: Int], versions: [(UInt64, Int)]) -> String {
    let conditions = Condition.allCases.compactMap { condition in
      counts[condition].map { "<span class=\"\(condition)\">\($0) \(condition)</span>" }
    }
    let shown = versions.prefix(8).map { "<span>version \($0.0): \($0.1)</span>" }
    let rest = versions.count > shown.count ? ["<span>\(versions.count - shown.count) older versions</span>"] : []
    return (conditions + shown + rest).joined(separator: " ")
  }

  private static func options(_ counts: [Condition: Int]) -> String {
    Condition.allCases.filter { counts[$0] != nil }.map { "<option>\($0)</option>" }.joined()
  }

  private static let headings = ["Device", "State", "Version", "From", "Age", "Trouble", "Whose word"].map {
    "<th scope=\"col\"><button type=\"button\">\($0)</button></th>"
  }.joined()

  private func row(_ device: DeviceReceipts, _ condition: Condition) -> String {
    let state = device.summary
    let age = state?.time.map { now.timeIntervalSince($0) }
    let trouble = device.troubles.map { receipt, failure in
      let subject = receipt.document.map { "document \(quoted($0)): " } ?? ""
      return Self.escaped("\(subject)\(failure.code): \(failure.message)")
    }
    var word = device.proof.word
    switch device.proof {
    case .signed(let signers): word += " by " + signers.map(\.description).joined(separator: ", ")
    case .invalid(let reason): word += ": " + reason
    case .unchecked, .unsigned, .missing: break
    }
    var from = state?.origin?.description ?? ""
    if from.isEmpty, let revision = state?.revision { from = revision.description }
    let cells: [(text: String, order: String?)] = [
      (Self.escaped(device.device), nil), (Self.escaped(state?.state ?? ""), nil),
      (state?.version.map { "\($0)" } ?? "", state?.version.map { Self.padded($0) }),
      (Self.escaped(from), nil),
      (Self.escaped(age.map(DeviceReceipts.age) ?? ""), age.map { Self.padded(UInt64(min(max($0, 0), 1e15))) }),
      (trouble.joined(separator: "<br>"), nil), (Self.escaped(word), nil),
    ]
    let columns = cells.map { "<td\($0.order.map { " data-order=\"\($0)\"" } ?? "")>\($0.text)</td>" }.joined()
    return "<tr class=\"\(condition)\" data-condition=\"\(condition)\">\(columns)</tr>\n"
  }

  /// So that numbers sort as text.
  private static func padded(_ number: UInt64) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: 20 - digits.count) + digits
  }

  // MARK: - Text from outside

  /// Text as HTML shows it, in content and between double quotes. Control characters are made visible first.
  static func escaped(_ text: String) -> String {
    var result = ""
    for character in printable(text, limit: 1000).unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }

  /// The page's own script is run, and no other, whatever a receipt says (Content Security Policy, level 2).
  private static func hash(of script: String) -> String {
    let digits = Array(Digest.of(script.utf8).hexadecimal)
    return Data(stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! })
      .base64EncodedString()
  }

  // MARK: - Look and behaviour

  private static let style = """
    :root { color-scheme: light dark; --line: #d0d7de; --bad: #b42318; --warn: #9a6700; --good: #1a7f37; --soft: #59636e }
    @media (prefers-color-scheme: dark) {
      :root { --line: #3d444d; --bad: #ff7b72; --warn: #d29922; --good: #3fb950; --soft: #9198a1 }
    }
    body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; background: Canvas; color: CanvasText }
    h1 { font-size: 1.4rem; margin: 0 } p { margin: .4rem 0 } code, td:nth-child(4) { font-family: ui-monospace, monospace }
    .counts span { display: inline-block; border: 1px solid var(--line); border-radius: 1em; padding: 0 .7em; margin: .1em }
    form { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; margin: 1rem 0 } input { width: 22em; max-width: 70vw }
    input, select { font: inherit; padding: .2em .4em } output { color: var(--soft) }
    table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .3rem .6rem;
      border-bottom: 1px solid var(--line) }
    td:nth-child(n+2):nth-child(-n+3), td:nth-child(5), th { white-space: nowrap }
    td { overflow-wrap: break-word } td:nth-child(4), td:nth-child(6), td:nth-child(7) { overflow-wrap: anywhere; min-width: 12em }
    thead th { position: sticky; top: 0; background: Canvas } th button { all: unset; cursor: pointer; font-weight: 600 }
    th button:focus-visible { outline: 2px solid } th[aria-sort=ascending] button::after { content: " \\2191" }
    th[aria-sort=descending] button::after { content: " \\2193" } td:first-child { font-weight: 600 }
    .invalid, tr.invalid td:last-child, tr.trouble td:nth-child(6), .trouble > td:nth-child(2) { color: var(--bad) }
    span.trouble { color: var(--bad) } .silent, .unsigned { color: var(--warn) } span.good { color: var(--good) }
    tr.silent td, tr.unsigned td { color: inherit } tr.silent td:last-child, tr.unsigned td:last-child { color: var(--warn) }
    @media print { form { display: none } }
    """

  private static let script = """
    "use strict";
    const body = document.querySelector("#fleet tbody"), rows = Array.from(body.rows);
    const text = document.getElementById("text"), condition = document.getElementById("condition");
    const shown = document.getElementById("shown"), words = rows.map(row => row.textContent.toLowerCase());
    function filter() {
      const wanted = text.value.toLowerCase().split(/\\s+/);
      let count = 0;
      rows.forEach((row, index) => {
        row.hidden = !(wanted.every(word => words[index].includes(word))
          && (!condition.value || row.dataset.condition === condition.value));
        if (!row.hidden) count += 1;
      });
      shown.textContent = count === rows.length ? "" : count + " of " + rows.length + " shown";
    }
    text.addEventListener("input", filter);
    condition.addEventListener("change", filter);
    document.getElementById("filter").addEventListener("submit", event => event.preventDefault());
    const headings = Array.from(document.querySelectorAll("#fleet th"));
    const order = new Intl.Collator("en", { numeric: true });
    headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach(other => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const key = row => row.cells[column].dataset.order ?? row.cells[column].textContent;
      const keys = new Map(rows.map(row => [row, key(row)]));
      // Empty cells stay at the end.
      body.append(...Array.from(rows).sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        return x === "" || y === "" ? (x === "") - (y === "") : direction * order.compare(x, y);
      }));
    }));
    filter();
    """
}
