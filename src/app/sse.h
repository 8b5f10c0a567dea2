/* Reads Server-Sent Events (WHATWG HTML §9.2.6) from pieces that are cut anywhere. Pure. */
#ifndef APP_SSE_H
#define APP_SSE_H

#include "bailiff/text.h"

enum { SSE_LINE_MAX = 1 << 16, SSE_DATA_MAX = 1 << 18, SSE_ID_MAX = 256 };

struct sse_event {
    const char *type; /* "": none was named */
    struct span data; /* lines with newlines between them; its data is NULL: a comment, such as a heartbeat */
    const char *id;   /* the last one that came; "": none did */
};
struct sse {
    /* false ends it. The event is the callee's until it returns. */
    bool (*take)(void *arg, const struct sse_event *event);
    void *arg;
    struct text id; /* of the last event, or of a heartbeat: what a new connection goes on behind */
    struct text line, data, type, pending_id;
    bool has_data, has_id;
    bool after_cr; /* a newline now belongs to the line end before */
    bool begun;
    bool too_large; /* why it ended, unless take() said so */
};
void sse_init(struct sse *s, bool (*take)(void *arg, const struct sse_event *event), void *arg);
void sse_done(struct sse *s);
void sse_restart(struct sse *s); /* on a new connection; the id stays */
must_check bool sse_feed(struct sse *s, struct span piece);

#endif
