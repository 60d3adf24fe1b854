import DesiredState
import HTTPTypes
import Hummingbird

/// Bytes that are served under a digest: a manifest, a document or a bundle.
struct Artifact {
  static let immutable = "private, max-age=31536000, immutable"

  var bytes: [UInt8]
  /// What the entity tag says, whatever the bytes have become.
  var digest: Digest
  var mediaType: String
  var cacheControl: String
  var isCompressible: Bool

  /// The answer to a GET, conditional and compressed as the client wishes, and broken as the fault does.
  func response(to request: Request, _ fault: Fault?) -> Response {
    let entityTag = "\"\(digest)\""
    var fields: HTTPFields = [.eTag: entityTag, .cacheControl: cacheControl]
    if isCompressible { fields[.vary] = "Accept-Encoding" }
    if Preferences.isMatch(request.headers[.ifNoneMatch], entityTag) {
      return Response(status: .notModified, headers: fields)
    }
    fields[.contentType] = mediaType
    var bytes = fault?.altered(bytes) ?? bytes
    if isCompressible, let encodings = request.headers[.acceptEncoding], Preferences(encodings).accepts(["gzip", "*"]) {
      bytes = Gzip.compress(bytes)
      fields[.contentEncoding] = "gzip"
    }
    return Response(
      status: .ok, headers: fields, body: fault?.body(bytes) ?? .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
