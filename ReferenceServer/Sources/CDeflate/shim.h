#pragma once
#include <zlib.h>

/// zlib.h: deflateInit2 is a macro that adds the version and the size of the structure, which Swift cannot see.
/// windowBits: 15, the largest window, plus 16 for a gzip header and trailer around the data.
static inline int ds_deflate_init_gzip(z_stream *stream) {
  return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
