/* How much a block of HTTP/2 header fields would become, told without decoding it (RFC 7541 §6). Pure.
 *
 * A field that stands in the dynamic table takes one byte here and costs its reader some hundred, so the bytes of a block say nothing of its
 * size. */
#ifndef BAILIFF_SERVER_HPACK_H
#define BAILIFF_SERVER_HPACK_H

#include "bailiff/common.h"

/* Whether it has at most `max` fields. A malformed block is judged by what stands before the fault: whoever decodes it will find that. */
bool hpack_has_at_most(const uint8_t *block, size_t len, size_t max);

#endif
