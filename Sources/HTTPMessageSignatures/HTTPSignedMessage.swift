public import HTTPTypes
import RawStructuredFieldValues

/// The signed message: a request, or a response with the request that it answers.
public enum HTTPSignedMessage: Sendable {
  /// A request.
  case request(HTTPRequest)
  /// A response, with the request that it answers.
  case response(HTTPResponse, to: HTTPRequest?)

  /// The value of a component (RFC 9421 section 2).
  func value(of component: HTTPSignatureComponent) throws(HTTPSignatureError) -> String {
    for (parameter, _) in component.item.rfc9651Parameters where !Self.parameters.contains(parameter) {
      throw HTTPSignatureError(.component, "\(component) has a parameter that is not known: \(parameter)")
    }
    guard !component.flag("tr") else {
      throw HTTPSignatureError(.component, "\(component) is of the trailers, which are not kept here")
    }
    let isOfRequest = component.flag("req")
    switch self {
    case .request(let request):
      guard !isOfRequest else {
        throw HTTPSignatureError(.component, "\(component) asks for the request of a request")
      }
      return try Self.value(of: component, in: request)
    case .response(_, let request) where isOfRequest:
      guard let request else {
        throw HTTPSignatureError(.component, "\(component) is of the request, which is not at hand")
      }
      return try Self.value(of: component, in: request)
    case .response(let response, _):
      if component.name == "@status" { return String(response.status.code) }
      return try Self.value(of: component, in: response.headerFields)
    }
  }

  var headerFields: HTTPFields {
    switch self {
    case .request(let request): request.headerFields
    case .response(let response, _): response.headerFields
    }
  }

  private static let parameters: Set<String> = ["sf", "key", "bs", "req", "tr", "name"]

  // MARK: - Derived components

  private static func value(
    of component: HTTPSignatureComponent, in request: HTTPRequest
  ) throws(HTTPSignatureError) -> String {
    guard component.name.hasPrefix("@") else { return try value(of: component, in: request.headerFields) }
    let target = request.path ?? "/"
    let mark = target.firstIndex(of: "?")
    switch component.name {
    case "@method": return request.method.rawValue
    case "@target-uri": return "\(try scheme(of: request))://\(request.authority ?? "")\(target)"
    case "@authority": return try authority(of: request)
    case "@scheme": return try scheme(of: request)
    case "@request-target": return target
    case "@path":
      let path = target[..<(mark ?? target.endIndex)]
      return path.isEmpty ? "/" : String(path)
    case "@query": return mark.map { String(target[$0...]) } ?? "?"
    case "@query-param":
      guard let name = component.text("name") else {
        throw HTTPSignatureError(.component, "\(component) names no parameter")
      }
      return try QueryParameters.value(of: name, in: mark.map { target[$0...].dropFirst() } ?? "")
    default: throw HTTPSignatureError(.component, "\(component) is not a component of a request")
    }
  }

  private static func scheme(of request: HTTPRequest) throws(HTTPSignatureError) -> String {
    guard let scheme = request.scheme else { throw HTTPSignatureError(.component, "the request has no scheme") }
    return scheme.lowercased()
  }

  /// In lower case, without the port where it is the scheme's own (RFC 9110 section 4.2.3).
  private static func authority(of request: HTTPRequest) throws(HTTPSignatureError) -> String {
    guard let authority = request.authority?.lowercased() else {
      throw HTTPSignatureError(.component, "the request has no authority")
    }
    let port = request.scheme?.lowercased() == "http" ? ":80" : ":443"
    return authority.hasSuffix(port) ? String(authority.dropLast(port.count)) : authority
  }

  // MARK: - Fields

  private static func value(
    of component: HTTPSignatureComponent, in fields: HTTPFields
  ) throws(HTTPSignatureError) -> String {
    guard !component.name.hasPrefix("@") else {
      throw HTTPSignatureError(.component, "\(component) is not a component of this message")
    }
    guard let name = HTTPField.Name(component.name), name.canonicalName == component.name, fields.contains(name) else {
      throw HTTPSignatureError(.component, "\(component) is covered, and the message has no such field")
    }
    let lines = fields[values: name].map { line in
      String(line.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
    let value = lines.joined(separator: ", ")
    do {
      if component.flag("bs") {
        guard !component.flag("sf"), component.text("key") == nil else {
          throw HTTPSignatureError(.component, "\(component): bs goes with neither sf nor key")
        }
        return try StructuredFields.wrapped(lines)
      }
      if let key = component.text("key") { return try StructuredFields.member(key, of: value) }
      return component.flag("sf") ? try StructuredFields.strict(value) : value
    } catch let error as HTTPSignatureError {
      throw error
    } catch {
      throw HTTPSignatureError(.malformed, "\(component) cannot be read as a structured field (RFC 9651)")
    }
  }
}
