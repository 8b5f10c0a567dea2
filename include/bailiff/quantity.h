/* Sizes ("64KiB") and times ("10s") as people write them in configuration. Pure. */
#ifndef BAILIFF_QUANTITY_H
#define BAILIFF_QUANTITY_H

#include "bailiff/text.h"

/* A whole number and a unit: B, KiB, MiB, GiB, TiB. 0 needs none. */
must_check bool size_parse(struct span s, uint64_t *ret_bytes);
/* A whole number and a unit: ms, s, m, h. 0 needs none. */
must_check bool duration_parse(struct span s, uint64_t *ret_ms);

/* In the largest unit that is exact; what the parsers read. */
void size_format(uint64_t bytes, struct text *out);
void duration_format(uint64_t ms, struct text *out);

#endif
