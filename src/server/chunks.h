/* Strict reading of chunked bodies (RFC 9112 §7.1), in place. Pure.
 *
 * Sizes have 1 to 8 hexadecimal digits, lines end in CRLF, extensions are short and ignored, trailers are refused. */
#ifndef BAILIFF_SERVER_CHUNKS_H
#define BAILIFF_SERVER_CHUNKS_H

#include <sys/types.h>

#include "bailiff/common.h"

/* libh2o's own layout (picohttpparser): it makes and zeroes these for us. */
struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char _hex_count; /* digits of the size, then bytes of the extension */
    char _state;
};

enum { CHUNK_DIGITS_MAX = 8, CHUNK_EXTENSION_MAX = 100 };

/* Takes the framing out of buf; *size becomes the length of what remains at its start. Returns how many bytes behind the
 * body were given (they follow those), -2 if the body goes on, -1 if it is malformed. */
ssize_t chunks_read(struct phr_chunked_decoder *decoder, char *buf, size_t *size);

#endif
