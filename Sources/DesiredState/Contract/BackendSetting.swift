/// A setting of backends, declared once: its name, its words for messages, and its type.
///
/// A backend that has a use for a setting of its own declares it as a constant beside itself, and names it when it
/// registers with the ``BackendRegistry``. Settings that several backends share are declared with the
/// contract, in ``BackendSettings``.
public struct BackendSetting<Value: Sendable>: Sendable {
  /// What tells it from other settings, whatever their types.
  public let key: BackendSettings.Key

  /// - Parameters:
  ///   - name: its name in configurations: lower case, words joined by hyphens (`tls-cert`). A command line puts two
  ///     dashes before it.
  ///   - words: what messages call it, with its article: "the client certificate". The words must be its own.
  public init(_ name: String, _ words: String) { key = BackendSettings.Key(name: name, words: words) }
}

/// The values of settings, by ``BackendSetting``. A setting that is left out has the backend's own default.
///
///     var settings = BackendSettings()
///     settings[.trustedAuthorities] = "/etc/agent/plant-ca.pem"
public struct BackendSettings: Sendable {
  /// A setting without its type. Settings of one name are the same.
  public struct Key: Hashable, Sendable, CustomStringConvertible {
    /// Its name, by which settings are told apart.
    package let name: String
    /// What messages call it.
    package let words: String
    /// The words.
    public var description: String { words }

    public static func == (left: Key, right: Key) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
  }

  package private(set) var values: [Key: any Sendable] = [:]

  /// The settings that a closure fills in; none without one.
  public init(_ fill: (inout BackendSettings) -> Void = { _ in }) { fill(&self) }

  /// The settings that have a value.
  package var keys: Set<Key> { Set(values.keys) }

  /// The value of a setting; nil if it has none.
  public subscript<Value: Sendable>(setting: BackendSetting<Value>) -> Value? {
    get { values[setting.key] as? Value }
    set { values[setting.key] = newValue }
  }

  /// Those of these settings alone.
  func limited(to keys: Set<Key>) -> BackendSettings {
    var settings = self
    settings.values = values.filter { keys.contains($0.key) }
    return settings
  }
}
