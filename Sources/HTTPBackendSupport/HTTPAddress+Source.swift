package import DesiredState
package import HTTPTransport

/// Addresses of sources over HTTP, and what they may be.
package enum HTTPSourceAddress {
  /// Reads an address, absolute or relative to another.
  ///
  /// - Throws: ``SourceAddressError`` if it cannot be read, or would go in the clear to another machine unasked.
  package static func parse(
    _ text: String, relativeTo base: HTTPAddress? = nil, allowsPlainHTTP: Bool
  ) throws(SourceAddressError) -> HTTPAddress {
    let address: HTTPAddress
    do throws(HTTPTransportError) {
      address = if let base { try base.resolving(text) } else { try HTTPAddress(text) }
    } catch {
      throw SourceAddressError(error.message)
    }
    guard address.origin.scheme == "https" || address.origin.isLoopback || allowsPlainHTTP else {
      throw SourceAddressError(
        "\(address.origin) is another machine, and http: goes there in the clear; use https:, or allow \(BackendSetting<Bool>.allowsPlainHTTP.key)"
      )
    }
    return address
  }
}
