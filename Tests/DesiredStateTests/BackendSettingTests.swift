import DesiredState
import Logging
import Testing

@Suite("Settings of backends") struct BackendSettingTests {
  private static let limit = BackendSetting<Int>("limit", "the limit of the test")

  @Test("A setting has the value it was given, of its own type, or none")
  func values() {
    var settings = BackendSettings { $0[.clientCertificate] = "/device.pem" }
    settings[Self.limit] = 7
    settings[.allowsTLS12] = true
    #expect(settings[.clientCertificate] == "/device.pem")
    #expect(settings[Self.limit] == 7)
    #expect(settings[.clientKey] == nil)
    settings[.allowsTLS12] = nil
    #expect(settings.keys.map(\.name).sorted() == ["limit", "tls-cert"])
    // One name, another type: not this setting's value.
    #expect(settings[BackendSetting<String>("limit", "another limit")] == nil)
  }

  @Test("A backend is given those settings alone that it was registered with")
  func registry() throws {
    var registry = BackendRegistry()
    struct Given: Error { var settings: BackendSettings }
    registry.register("test", settings: [Self.limit.key]) { _, context in throw Given(settings: context.settings) }
    registry.register("all") { _, context in throw Given(settings: context.settings) }
    let settings = BackendSettings {
      $0[Self.limit] = 7
      $0[.clientCertificate] = "/device.pem"
    }
    let context = BackendContext(device: "press-42", settings: settings)
    let some = #expect(throws: Given.self) { try registry.backend(for: "test://x", context: context) }
    #expect(some?.settings.keys == [Self.limit.key])
    let all = #expect(throws: Given.self) { try registry.backend(for: "all://x", context: context) }
    #expect(all?.settings.keys == settings.keys)
    #expect(try registry.settings(settings.keys, usedFor: "test://x") == [Self.limit.key])
  }
}
