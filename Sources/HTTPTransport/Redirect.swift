import HTTPTypes

/// What becomes of a response that may be a redirect (RFC 9110 section 15.4).
enum RedirectDecision {
  case deliver
  case follow(RequestPlan)
  case refuse(HTTPTransportError)
}

extension RequestPlan {
  /// Judges a response to this request. `followed` is how many redirects led here.
  ///
  /// Done here and not by CURLOPT_FOLLOWLOCATION, which would send client certificates and custom
  /// header fields along to any host.
  func decide(
    on header: ReceivedHeader, followed: Int, configuration: HTTPTransportConfiguration
  ) -> RedirectDecision {
    guard case .follow(let maximum) = configuration.redirects,
      [301, 302, 303, 307, 308].contains(header.status),
      let location = header.response.headerFields[.location]
    else { return .deliver }
    func refuse(_ reason: String) -> RedirectDecision {
      .refuse(
        HTTPTransportError(
          code: .redirectRefused, message: "\(address) redirects (\(header.status)) \(reason)"))
    }
    guard method == .get || method == .head else {
      return refuse("a \(method) request, which is not sent again by itself. Configure the final address.")
    }
    guard followed < maximum else {
      return refuse("after \(followed) redirects already. Configure the final address, or mend the loop.")
    }
    let target: HTTPAddress
    do {
      target = try address.resolving(location)
    } catch {
      return refuse("to an address that cannot be followed: \(error.message)")
    }
    if address.origin.scheme == "https", target.origin.scheme != "https" {
      return refuse("from https down to \(target.origin), which is never followed.")
    }
    // A request in the clear within this machine is not thereby for the network.
    if address.origin.isLoopback, target.origin.scheme == "http", !target.origin.isLoopback {
      return refuse("from this machine to \(target.origin) in the clear. Configure the final address if that is meant.")
    }
    var next = self
    next.address = target
    if target.origin != address.origin {
      if carriesCredentials(configuration) {
        return refuse(
          "to \(target.origin), another origin, which must not be shown the credentials or the client certificate. "
            + "Configure the final address if it is to be trusted with them.")
      }
      // Unknown fields may be secrets too (X-API-Key): only fields known to be harmless cross over.
      next.headerFields = HTTPFields(headerFields.filter { Self.harmlessFields.contains($0.name) })
    }
    return .follow(next)
  }

  private static let harmlessFields: Set<HTTPField.Name> = [
    .accept, .acceptEncoding, .acceptLanguage, .cacheControl, .ifMatch, .ifModifiedSince, .ifNoneMatch, .ifRange,
    .ifUnmodifiedSince, .range, .userAgent,
  ]
}
