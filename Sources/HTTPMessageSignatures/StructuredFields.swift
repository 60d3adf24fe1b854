import RawStructuredFieldValues

/// Forms of structured fields (RFC 9651) that signatures ask for.
enum StructuredFields {
  /// A field's lines as a list of byte sequences (RFC 9421 section 2.1.3).
  static func wrapped(_ lines: [String]) throws -> String {
    try serialize { serializer in
      try serializer.writeListFieldValue(
        lines.map {
          .item(Item(bareItem: RFC9651BareItem.undecodedByteSequence(base64($0.utf8)), parameters: [:]))
        })
    }
  }

  /// A member of a dictionary (section 2.1.2).
  static func member(_ key: String, of value: String) throws -> String {
    guard let member = try dictionary(value)[key] else {
      throw HTTPSignatureError(.component, "the covered field has no member '\(key)'")
    }
    return try serialize { serializer in
      switch member {
      case .item(let item): try serializer.writeItemFieldValue(item)
      case .innerList: try serializer.writeListFieldValue([member])
      }
    }
  }

  /// The strict serialization of a field (section 2.1.1): of a dictionary if it is one, else of a list. Where both fit,
  /// they serialize alike.
  static func strict(_ value: String) throws -> String {
    if let dictionary = try? dictionary(value) {
      return try serialize { try $0.writeDictionaryFieldValue(dictionary) }
    }
    var parser = StructuredFieldValueParser(Array(value.utf8))
    let list = try parser.parseListFieldValue()
    return try serialize { try $0.writeListFieldValue(list) }
  }

  static func dictionary(_ value: String) throws -> OrderedMap<String, ItemOrInnerList> {
    var parser = StructuredFieldValueParser(Array(value.utf8))
    return try parser.parseDictionaryFieldValue()
  }

  static func serialize(_ write: (inout StructuredFieldValueSerializer) throws -> [UInt8]) rethrows -> String {
    var serializer = StructuredFieldValueSerializer()
    return String(decoding: try write(&serializer), as: UTF8.self)
  }
}
