extension ApplicationDeployment {
  /// Why a device cannot host this deployment; empty if it can.
  ///
  /// Its kind must be one that the device supports, its capacity must be there, and each rule must match. A value that the
  /// device does not report matches nothing but `DoesNotExist` and `NotIn`.
  public func obstacles(on device: DeviceCapabilities) -> [String] {
    var obstacles: [String] = []
    if let supported = device.supportedDeploymentTypes,
      !supported.contains(where: { $0 == profile.deploymentType })
    {
      obstacles.append("the device takes \(supported.map(\.rawValue).joined(separator: ", ")), and not \(profile.type)")
    } else if device.supportedDeploymentTypes == nil {
      obstacles.append("the device hosts no workloads")
    }
    return obstacles + (profile.constraints?.obstacles(on: device) ?? [])
  }
}

extension DeviceConstraints {
  /// What a device lacks; empty if nothing.
  func obstacles(on device: DeviceCapabilities) -> [String] {
    var obstacles: [String] = []
    let processors = device.cpus ?? []
    let fitting = processors.filter { processor in
      architectures.isEmpty || processor.architecture.map { architectures.contains($0.rawValue) } ?? false
    }
    if !architectures.isEmpty, fitting.isEmpty {
      obstacles.append("no processor is \(architectures.joined(separator: " or "))")
    } else if let cores, fitting.reduce(0, { $0 + $1.cores }) < cores {
      obstacles.append("\(cores) cores are needed")
    }
    if let memory, Self.bytes(device.memory ?? "0Ki") ?? 0 < Self.bytes(memory) ?? .infinity {
      obstacles.append("\(memory) of memory is needed")
    }
    if let storage, Self.bytes(device.storage ?? "0Ki") ?? 0 < Self.bytes(storage) ?? .infinity {
      obstacles.append("\(storage) of storage is needed")
    }
    let value = device.value()
    let properties = value.value(at: "/properties") ?? .object([:])
    let labels = device.labels ?? [:]
    for rule in rules {
      for expression in rule.properties?.expressions ?? []
      where !expression.matches(properties.value(at: expression.key), at: { $0.value(at: $1) }) {
        obstacles.append("property \(expression.key): \(expression.operator.rawValue) does not match")
      }
      for expression in rule.labels?.expressions ?? []
      where !expression.matches(labels[expression.key], at: { $0.object?[$1] }) {
        obstacles.append("label \(expression.key): \(expression.operator.rawValue) does not match")
      }
    }
    return obstacles
  }
}

extension DeviceConstraints.Expression {
  /// - Parameters:
  ///   - value: what the key leads to; nil if it leads nowhere.
  ///   - lookUp: what a key leads to in an element.
  func matches(_ value: JSONValue?, at lookUp: (JSONValue, String) -> JSONValue?) -> Bool {
    switch `operator` {
    case .exists: return value != nil
    case .doesNotExist: return value == nil
    case .notIn:
      guard let value else { return true }
      return !isListed(value)
    case .in: return value.map(isListed) ?? false
    case .greater, .less:
      guard let number = value?.double, let bound = values.first?.double else { return false }
      return `operator` == .greater ? number > bound : number < bound
    case .containsAny, .containsAll:
      guard let elements = value?.array else { return false }
      // An element matches if every expression does; ContainsAll asks that of each expression, by whatever element.
      func fits(_ element: JSONValue, _ item: Self) -> Bool {
        item.matches(item.key == "/" || item.key.isEmpty ? element : lookUp(element, item.key), at: lookUp)
      }
      return `operator` == .containsAny
        ? elements.contains { element in items.allSatisfy { fits(element, $0) } }
        : items.allSatisfy { item in elements.contains { fits($0, item) } }
    }
  }

  /// A value is listed if it is one of the values; an array if one of its elements is.
  private func isListed(_ value: JSONValue) -> Bool {
    (value.array ?? [value]).contains { element in values.contains { $0.isEqual(to: element) } }
  }
}
