package import DesiredState
import DesiredStateSupport
import HTTPBackendSupport
import HTTPTransport
import MargoDocuments

/// What a fleet manager has heard from its devices, as receipts.
///
/// Margo's API has no place where an operator reads statuses. The reference manager lists them as `/admin/receipts`: an array of
/// receipts about deployments, each with the device and the time at which it came.
package enum ManagerReceipts {
  /// Whether an address is that of a manager.
  package static func serves(_ address: SourceAddress) -> Bool {
    ["margo+http", "margo+https"].contains(address.scheme)
  }

  /// The receipts by their paths below the folder of receipts.
  ///
  /// - Parameter limit: the longest receipt.
  /// - Throws: ``BackendError``; ``SourceAddressError``; `CancellationError`.
  package static func read(
    from address: SourceAddress, context: BackendContext, limit: Int, timeout: Duration
  ) async throws -> [String: [UInt8]] {
    let base = try HTTPSourceAddress.parse(
      address.scheme.dropFirst("margo+".count) + ":" + address.location,
      allowsPlainHTTP: TransportSettings.allowsPlainHTTP(context.settings))
    if let key = address.query.keys.sorted().first {
      throw SourceAddressError(
        "the address of a manager's port for operators has nothing named \(quoted(key)) in its query")
    }
    let configuration = try TransportSettings.configuration(context.settings, for: base.origin)
    let client = SourceClient(transport: try TransportSettings.transport(configuration))
    let list: HTTPAddress
    do throws(HTTPTransportError) { list = try base.resolving("/admin/receipts") } catch { throw BackendError(error) }
    guard let answer = try await client.get(list, "the list of receipts", limit: 64 * limit, deadline: .now + timeout)
    else {
      throw BackendError(
        .protocolViolation,
        "\(list) is not there: name the port for operators of the reference manager; other managers have lists of their own"
      )
    }
    var files: [String: [UInt8]] = [:]
    do {
      for receipt in try JSON.decode([JSONValue].self, from: answer.body) {
        guard let members = receipt.object, let device = members["device"]?.string,
          let deployment = members["deploymentId"]?.string
        else { throw BackendError(.protocolViolation, "\(list) has an entry without 'device' or 'deploymentId'") }
        let bytes = try JSON.file(receipt)
        // As with a file that is too long, its device is listed, and not its words.
        files[Receipt.pathInFolder(of: .document(deployment), device: device)] = bytes.count <= limit ? bytes : []
      }
    } catch let error as BackendError {
      throw error
    } catch {
      throw BackendError(
        .protocolViolation, "\(list) cannot be read as a list of receipts: \(error)", underlying: error)
    }
    return files
  }
}
