#ifndef DESIRED_STATE_CZLIB_H
#define DESIRED_STATE_CZLIB_H

#include <zlib.h>

// inflateInit is a macro, which Swift does not see.
static inline int czlib_inflate_init(z_stream *stream) { return inflateInit(stream); }

#endif
