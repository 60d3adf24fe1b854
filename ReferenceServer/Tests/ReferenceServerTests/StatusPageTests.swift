import Foundation
import Testing

@testable import ReferenceServer

/// The page for people, and the events that keep it live.
@Suite(.timeLimit(.minutes(2))) struct StatusPageTests {
  @Test func `the page is there, and what it shows comes by events as it changes`() async throws {
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      let page = try await site.get("/")
      #expect(page.status == 200 && page[.contentType]?.hasPrefix("text/html") == true)
      #expect(page.text.contains("/admin/events"))
      var events = try await site.events().makeAsyncIterator()
      let first = try #require(try await events.next())
      #expect(first.contains(#""client":"press-42""#) && first.contains(#""manifestVersion":1"#))
      let capabilities = """
        {"properties": {"id": "gw", "vendor": "Acme", "modelNumber": "1", "serialNumber": "2"},
         "labels": {"hall": "<b>7</b>"}, "x-acme-extensions": {"rack": 3}}
        """
      #expect(try await site.send(.put, "/api/v1/capabilities/gw", body: capabilities).status == 201)
      let second = try #require(try await events.next())
      #expect(second.contains(#""deviceId":"gw""#) && second.contains("<b>7</b>") && second.contains(#""rack":3"#))
      try await site.faults(#"[{"fault": "missing"}]"#)
      #expect(try await events.next()?.contains(#""fault":"missing""#) == true)
    }
  }

  @Test(.enabled(if: Browser.program != nil, "chromium is not installed: apt-get install chromium"))
  func `a browser shows clients, devices and statuses as they come, and switches faults`() async throws {
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      let browser = try Browser("http://127.0.0.1:\(site.ports.admin)/")
      func sees(_ expression: String) async throws {
        #expect(try await browser.sees(expression) == "ok", "\(expression)")
      }
      func shows(_ text: String, in table: String) async throws {
        try await sees("document.getElementById('\(table)').innerText.includes('\(text)')")
      }
      try await sees("document.getElementById('line').textContent === 'live'")
      try await shows("press-42", in: "clients")
      try await shows("none", in: "devices")
      let capabilities = """
        {"properties": {"id": "gw", "vendor": "<b>Acme</b>", "modelNumber": "1", "serialNumber": "2", "memory": "8Gi"}}
        """
      #expect(try await site.send(.put, "/api/v1/capabilities/gw", body: capabilities).status == 201)
      // What clients say is text, and never part of the page.
      try await shows("<b>Acme</b> 1", in: "devices")
      try await sees("document.querySelectorAll('#devices b').length === 0")
      _ = try await site.get("/api/v1/deployments")
      for state in ["installing", "installed"] {
        let status = """
          {"deploymentId": "press", "deviceId": "gw", "adoptedManifestVersion": 1, "status": {"state": "\(state)"},
           "components": [{"name": "web", "state": "\(state)"}]}
          """
        _ = try await site.send(.post, "/api/v1/deployments/press/status", body: status)
        try await shows("web: \(state)", in: "statuses")
      }
      try await sees("document.querySelector('#statuses td.installed').textContent === 'installed'")
      try await shows("installing", in: "statuses")
      let button = "[...document.querySelectorAll('#faults button')].find(one => one.textContent === 'rate-limited')"
      try await sees("\(button).getAttribute('aria-pressed') === 'false' && (\(button).click(), true)")
      try await sees("\(button).getAttribute('aria-pressed') === 'true'")
      #expect(try await site.get("/api/v1/deployments").status == 429)
      try await sees("\(button).click() === undefined")
      try await sees("\(button).getAttribute('aria-pressed') === 'false'")
      #expect(try await site.get("/api/v1/deployments").status == 200)
      await browser.close()
    }
  }

  @Test func `problems are typed and paced as the specification has them`() async throws {
    struct Problem: Decodable {
      var type: String
      var retryable: Bool
      var backoffStrategy: String
    }
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      let child = #"{"properties": {"id": "gw/a", "vendor": "V", "modelNumber": "M", "serialNumber": "S"}}"#
      let refused = try await site.send(.put, "/api/v1/capabilities/gw/a", body: child)
      let problem = try refused.json(Problem.self)
      #expect(problem.type == "https://docs.margo.org/specification/problem-types#gateway-not-found")
      #expect(!problem.retryable && problem.backoffStrategy == "none")
      for (fault, status) in [("rate-limited", 429), ("unavailable", 503)] {
        try await site.faults(#"[{"fault": "\#(fault)"}]"#)
        let answer = try await site.get("/api/v1/deployments")
        let problem = try answer.json(Problem.self)
        #expect(answer.status == status && answer[.retryAfter] == "5")
        #expect(problem.type == "about:blank" && problem.retryable && problem.backoffStrategy == "exponential")
      }
    }
  }

  @Test func `the form before takes statuses without a manifest version, and rc.3 does not`() async throws {
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      let status = """
        {"deploymentId": "press", "status": {"state": "pending", "error": {"code": "", "source": "", "message": ""}},
         "components": []}
        """
      let old = try await site.send(.post, "/api/v1/clients/press-42/deployments/press/status", body: status)
      #expect(old.status == 201)
      let new = try await site.send(.post, "/api/v1/deployments/press/status", body: status)
      #expect(try new.json(TestSite.ProblemDetails.self).errors?.map(\.field) == ["adoptedManifestVersion"])
    }
  }
}
