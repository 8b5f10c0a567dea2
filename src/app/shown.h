/* Text for people: from strangers, so made harmless; in columns as wide as it shows; times and durations as they are read. Pure. */
#ifndef APP_SHOWN_H
#define APP_SHOWN_H

#include <stdio.h>

#include "bailiff/text.h"

/* What can drive a terminal, or make text look like another, becomes visible: control characters (C0, DEL, C1) as \n, \t, \x1b,
 * others (overrides of direction, zero-width and invisible ones) as \u202e, bytes that are no UTF-8 as \xff. */
void shown_append(struct text *out, struct span s);
/* The same for JSON text that was written already: such characters become \uXXXX, which means the same to whoever reads it. */
void shown_append_json(struct text *out, struct span json);
size_t shown_columns(struct span s); /* of text that is harmless */

/* A log as it comes, in pieces that may end in the middle of a character; newlines and tabs stay. */
struct shown_stream {
    char cut[4]; /* the beginning of a character */
    size_t cut_len;
};
void shown_stream_append(struct shown_stream *stream, struct text *out, struct span piece);
void shown_stream_end(struct shown_stream *stream, struct text *out);

/* RFC 3339, or as Taipy writes it: "2026-01-02 03:04:05" in local time, with "+0100" if wanted. What is no time stays as it is. */
void shown_time(struct text *out, const char *time, bool zone);
void shown_duration(struct text *out, int64_t ms); /* 350ms, 12.3s, 4m05s, 2h03m, 3d04h */

/* ---- tables ---- */
enum { TABLE_COLUMNS_MAX = 12 };
struct table {
    const char *const *titles;
    size_t columns;
    size_t widths[TABLE_COLUMNS_MAX]; /* only ever grow */
    struct text cells;                /* one after the other, each ending with NUL */
    size_t count;                     /* of cells */
    bool begun;                       /* the titles are out */
};
void table_init(struct table *t, const char *const *titles, size_t columns);
void table_done(struct table *t);
void table_cell(struct table *t, const char *text); /* row by row; made harmless; NULL or "": "-" */
void table_print(struct table *t, FILE *out);       /* what came since the last time; titles before the first row */

#endif
