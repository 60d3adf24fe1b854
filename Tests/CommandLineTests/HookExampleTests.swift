import Foundation
import HTTPTestSupport
import TestSupport
import Testing

@Suite("Examples/hooks", .timeLimit(.minutes(5)))
struct HookExampleTests {
  let site = try! Site()
  private static let hooks =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/Examples/hooks/"

  /// Publishes documents, and follows once with a hook; `variables` stand before its command.
  private func apply(_ hook: String, _ documents: [(id: String, text: String)], version: Int, _ variables: String = "")
    async throws -> (run: Finished, statuses: [String: String])
  {
    let key = site.root + "/key"
    if !site.exists(key) { _ = try await site.makeKey(trustedAs: "ops") }
    try await site.publishByHand(version: "\(version)", documents: documents, keys: [key])
    let run = try await site.follow(
      trust: ["--trust", site.trust, "--on-apply", "PATH=\(site.root)/bin:$PATH \(variables) \(Self.hooks)\(hook)"])
    var statuses: [String: String] = [:]
    for event in run.events { if let document = event.document { statuses[document] = event.state } }
    return (run, statuses)
  }

  /// A program that writes its arguments down, and fails where one of them holds "bad".
  private func standIn(_ name: String) throws {
    let path = site.root + "/bin/" + name
    try site.write(
      "#!/bin/sh\necho \"$*\" >> \(site.root)/calls\ncase \"$*\" in *bad*) echo no such luck >&2; exit 1;; esac\n",
      to: path)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
  }

  private func calls() throws -> String {
    defer { try? site.remove(site.root + "/calls") }
    return try site.read("calls")
  }

  @Test("compose brings projects up and down (docker is a stand-in)") func compose() async throws {
    try standIn("docker")
    var (run, statuses) = try await apply("compose", [("web.yaml", "services: {}\n"), ("notes.txt", "x")], version: 1)
    #expect(run.status == 0 && statuses["web.yaml"] == "installed", "\(run)")
    #expect(try calls().contains("compose --project-name web --file"))
    (run, statuses) = try await apply("compose", [("bad.yaml", "services: {}\n")], version: 2)
    #expect(run.status == 1 && statuses["bad.yaml"] == "failed" && statuses["web.yaml"] == "removed", "\(run)")
    #expect(try calls().matches(of: /--project-name web .* down/).count == 1)
  }

  @Test("systemd-units installs, restarts and disables (systemctl is a stand-in)") func units() async throws {
    try standIn("systemctl")
    let folder = site.root + "/units"
    try site.write("", to: folder + "/other.service")
    let variables = "UNIT_DIRECTORY=\(folder)"
    var (run, statuses) = try await apply(
      "systemd-units", [("a.service", "[Service]\n"), ("b.timer", "[Timer]\n")], version: 1, variables)
    #expect(run.status == 0 && statuses == ["a.service": "installed", "b.timer": "installed"], "\(run)")
    #expect(try calls() == "daemon-reload\nenable a.service\nrestart a.service\nenable b.timer\nrestart b.timer\n")
    (run, statuses) = try await apply(
      "systemd-units", [("a.service", "[Service]\n"), ("bad.service", "")], version: 2, variables)
    #expect(run.status == 1 && statuses == ["b.timer": "removed", "bad.service": "failed"], "\(run)")
    #expect(try calls().hasPrefix("disable --now b.timer\ndaemon-reload\n"))
    #expect(try site.files(below: folder).keys.sorted() == ["a.service", "bad.service", "other.service"])
  }

  @Test("helm upgrades and uninstalls releases, and says what Helm said (helm is a stand-in)") func helm() async throws
  {
    try standIn("helm")
    let values = "# chart: oci://registry.plant.example/charts/camera 1.1.0\nfps: 30\n"
    var (run, statuses) = try await apply("helm", [("camera.yaml", values), ("none.yaml", "fps: 30\n")], version: 1)
    #expect(run.status == 1 && statuses == ["camera.yaml": "installed", "none.yaml": "failed"], "\(run)")
    #expect(try calls().contains("upgrade camera oci://registry.plant.example/charts/camera --version 1.1.0 --values"))
    (run, statuses) = try await apply("helm", [("bad.yaml", values)], version: 2)
    #expect(run.status == 1 && statuses["camera.yaml"] == "removed" && statuses["bad.yaml"] == "failed", "\(run)")
    let receipt = try site.read(site.drop + "/acknowledgements/press-42/documents/bad.yaml.json")
    #expect(receipt.contains("upgrade-failed") && receipt.contains("no such luck"))
  }

  @Test("nginx serves what is published, and goes on with the old when nginx -t refuses the new") func nginx()
    async throws
  {
    let port = Endpoint.reservedPort()
    let configuration = site.root + "/nginx.conf"
    try site.write(
      """
      \(getuid() == 0 ? "user root;" : "") pid \(site.root)/nginx.pid; error_log \(site.root)/error.log;
      events {}
      http { access_log off; client_body_temp_path \(site.root)/t1; proxy_temp_path \(site.root)/t2;
        fastcgi_temp_path \(site.root)/t3; uwsgi_temp_path \(site.root)/t4; scgi_temp_path \(site.root)/t5;
        server { listen 127.0.0.1:\(port); include \(site.root)/live/current/*.conf; } }
      """, to: configuration)
    try FileManager.default.createDirectory(atPath: site.root + "/live", withIntermediateDirectories: true)
    let command = "nginx -e \(site.root)/error.log -p \(site.root) -c \(configuration)"
    try await Tool.succeed("sh", ["-c", command])
    func stop() async throws { try await Tool.succeed("sh", ["-c", "\(command) -s quit"]) }
    do {
      let variables = "NGINX_FOLDER=\(site.root)/live NGINX='\(command)'"
      func answer() async throws -> String {
        try await Tool.run(
          "python3",
          ["-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:\(port)/').read().decode(), end='')"],
          environment: ["http_proxy": nil, "no_proxy": "127.0.0.1"]
        ).output
      }
      var run = try await apply("nginx", [("site.conf", "location / { return 200 one; }\n")], version: 1, variables).run
      #expect(run.status == 0, "\(run)")
      try await until("nginx serves the first state") { try await answer() == "one" }
      run = try await apply("nginx", [("site.conf", "location / { retrun 200 two; }\n")], version: 2, variables).run
      #expect(run.status == 1 && run.complaint.contains("retrun"), "\(run)")
      #expect(try await answer() == "one")
      run = try await apply("nginx", [("site.conf", "location / { return 200 three; }\n")], version: 3, variables).run
      #expect(run.status == 0, "\(run)")
      try await until("nginx serves the third state") { try await answer() == "three" }
      #expect(try FileManager.default.contentsOfDirectory(atPath: site.root + "/live").count == 2)
      try await stop()
    } catch {
      try await stop()
      throw error
    }
  }
}
