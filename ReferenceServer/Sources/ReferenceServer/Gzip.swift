import CDeflate

/// gzip (RFC 1952) of bytes in memory.
enum Gzip {
  static func compress(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    precondition(ds_deflate_init_gzip(&stream) == Z_OK, "zlib has no memory for a stream")
    defer { deflateEnd(&stream) }
    // zlib.h, deflateBound: an upper bound on the compressed size if deflate() is called once, with Z_FINISH.
    let bound = Int(deflateBound(&stream, uLong(bytes.count)))
    var input = bytes
    return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
      input.withUnsafeMutableBufferPointer { input in
        stream.next_in = input.baseAddress
        stream.avail_in = uInt(input.count)
        stream.next_out = output.baseAddress
        stream.avail_out = uInt(output.count)
        let status = deflate(&stream, Z_FINISH)
        precondition(status == Z_STREAM_END, "deflateBound was no bound")
      }
      count = Int(stream.total_out)
    }
  }
}
