#ifndef DESIRED_STATE_CZLIB_H
#define DESIRED_STATE_CZLIB_H

#include <zlib.h>

// inflateInit and inflateInit2 are macros, which Swift does not see.
static inline int czlib_inflate_init(z_stream *stream) { return inflateInit(stream); }

// 15 is the largest window; 16 more is for the gzip format with its check.
static inline int czlib_gzip_init(z_stream *stream) { return inflateInit2(stream, 15 + 16); }

#endif
