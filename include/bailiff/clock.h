/* Two clocks. Wall time is for what people and tokens see; it may jump. Everything that waits or measures uses the
 * monotonic clock. Units are in the names. */
#ifndef BAILIFF_CLOCK_H
#define BAILIFF_CLOCK_H

#include "bailiff/common.h"

int64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

enum { TIME_TEXT_SIZE = 32 };
/* RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z */
void time_format(int64_t wall_ms, char out[static TIME_TEXT_SIZE]);
/* Reads RFC 3339 (any offset, optional fraction). False if it is anything else. */
must_check bool time_parse(const char *s, size_t len, int64_t *ret_wall_ms);

#endif
