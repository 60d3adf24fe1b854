import Foundation
import Testing

@Suite("receipts --html", .timeLimit(.minutes(5)))
struct FleetPageTests {
  let site = try! Site()
  private var page: String { site.root + "/fleet.html" }

  private static let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  /// A receipt as a device without a key of its own writes it.
  private func receipt(
    _ device: String, version: Int, state: String = "adopted", code: String? = nil, message: String = ""
  )
    throws
  {
    let error = code.map { ", \"error\": {\"code\": \"\($0)\", \"message\": \(json(message))}" } ?? ""
    let folder = device.replacing("<", with: "%3c").replacing(">", with: "%3e").replacing("\"", with: "%22")
      .replacing("=", with: "%3d").replacing("(", with: "%28").replacing(")", with: "%29").replacing(" ", with: "%20")
    try site.write(
      """
      {"device": \(json(device)), "time": "2024-05-01T00:00:0\(version % 10)Z", "adoptedManifestVersion": \(version),
       "status": {"state": "\(state)"\(error)}}
      """, to: "\(site.drop)/acknowledgements/\(folder)/state.json")
  }

  private func json(_ text: String) -> String { String(decoding: try! JSONEncoder().encode(text), as: UTF8.self) }

  /// The page after its scripts, and some of the test's, have run.
  private func render(_ html: String, then script: String = "") async throws -> String {
    let chromium = try #require(Self.chromium)
    let path = site.root + "/rendered.html"
    // The page lets no other script run: the test's own takes that rule out first, and only for itself.
    var html = html
    if !script.isEmpty {
      html = html.replacing(#/<meta http-equiv="Content-Security-Policy"[^>]*>/#, with: "")
      html = html.replacing("</body>", with: "<script>\(script)</script></body>")
    }
    try site.write(html, to: path)
    return try await Tool.succeed(
      chromium,
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--user-data-dir=\(site.root)/profile",
        "--virtual-time-budget=2000", "--dump-dom", "file://" + path,
      ])
  }

  @Test("Nothing that a receipt says is markup, and the page asks nothing of a network") func escapes() async throws {
    let evil = "<img src=x onerror=alert(1)>"
    try receipt(
      evil, version: 1, state: "rejected", code: "</td><script>document.title='owned'</script>", message: "\"'&\u{202e}"
    )
    try receipt("press", version: 2)
    let run = try await Tool.run(Tool.desiredState, ["receipts", site.drop, "--html", page])
    #expect(run.status == 0 && run.output.contains("2 devices"), "\(run)")
    let html = try site.read(page)
    #expect(html.contains("&lt;img src=x onerror=alert(1)&gt;") && html.contains("&quot;&#39;&amp;\\u{202E}"))
    #expect(!html.contains("<img") && html.matches(of: #/<script/#).count == 1)
    #expect(!html.contains("http://") && !html.contains("https://") && html.matches(of: #/(src|href)=/#).count == 1)
    #expect(html.contains("prefers-color-scheme: dark") && html.contains("default-src 'none'"))
    let both = try await Tool.run(Tool.desiredState, ["receipts", site.drop, "--html", page, "--json"])
    #expect(both.status == 64)
  }

  @Test(
    "A browser runs the page's own script, and no other; it sorts and filters",
    .enabled(if: chromium != nil, "there is no Chromium here"))
  func browser() async throws {
    try receipt("b-10", version: 2)
    try receipt("b-9", version: 10)
    try receipt("a-1", version: 9, state: "rejected", code: "expired", message: "long ago")
    try await Tool.succeed(Tool.desiredState, ["receipts", site.drop, "--html", page])
    let html = try site.read(page)
    func devices(_ dom: String) -> [String] {
      dom.matches(of: #/<tr class="\w+" data-condition="\w+"( hidden="")?><td>([^<]*)</#).filter { $0.1 == nil }
        .map { String($0.2) }
    }
    // With the rule in force: the script has run, because it says how many are shown when it filters.
    let intruder = html.replacing("</tbody>", with: "</tbody><script>document.title = 'owned'</script>")
    #expect(try await !render(intruder).contains("<title>owned"))
    #expect(devices(try await render(html)) == ["a-1", "b-10", "b-9"])
    let click = "document.querySelectorAll('th button')[COLUMN].click();"
    let byVersion = try await render(html, then: click.replacing("COLUMN", with: "2"))
    #expect(devices(byVersion) == ["b-10", "a-1", "b-9"] && byVersion.contains("aria-sort=\"ascending\""))
    let down = click.replacing("COLUMN", with: "2") + click.replacing("COLUMN", with: "2")
    #expect(devices(try await render(html, then: down)) == ["b-9", "a-1", "b-10"])
    #expect(devices(try await render(html, then: click.replacing("COLUMN", with: "0"))) == ["a-1", "b-9", "b-10"])
    let filtered = try await render(
      html, then: "text.value = 'B- adopted'; text.dispatchEvent(new Event('input'));")
    #expect(devices(filtered) == ["b-10", "b-9"] && filtered.contains("2 of 3 shown"))
    let chosen = try await render(
      html, then: "condition.value = 'trouble'; condition.dispatchEvent(new Event('change'));")
    #expect(devices(chosen) == ["a-1"])
  }
}
