#include "app/sse.h"

void sse_init(struct sse *s, bool (*take)(void *arg, const struct sse_event *event), void *arg)
{
    *s = (struct sse){.take = take, .arg = arg};
    text_append_str(&s->id, "");
}

void sse_done(struct sse *s)
{
    text_done(&s->id);
    text_done(&s->line);
    text_done(&s->data);
    text_done(&s->type);
    text_done(&s->pending_id);
}

static void forget_event(struct sse *s)
{
    text_clear(&s->data);
    text_clear(&s->type);
    text_clear(&s->pending_id);
    s->has_data = s->has_id = false;
}

/* What was not whole is lost with its connection. */
void sse_restart(struct sse *s)
{
    forget_event(s);
    text_clear(&s->line);
    s->after_cr = s->begun = s->too_large = false;
}

static bool tell(struct sse *s, struct span data)
{
    const struct sse_event event = {.type = s->type.len > 0 ? s->type.data : "", .data = data, .id = s->id.data};

    return s->take(s->arg, &event);
}

static bool dispatch(struct sse *s)
{
    bool go_on = true;

    if (s->has_id) {
        text_clear(&s->id);
        text_append_str(&s->id, "");
        text_append_span(&s->id, text_span(&s->pending_id));
    }
    if (s->has_data)
        go_on = tell(s, text_span(&s->data));
    forget_event(s);
    return go_on;
}

static bool add_data(struct sse *s, struct span value)
{
    if (value.len + 1 > SSE_DATA_MAX - s->data.len) {
        s->too_large = true;
        return false;
    }
    if (s->has_data)
        text_append_char(&s->data, '\n');
    text_append_str(&s->data, "");
    text_append_span(&s->data, value);
    s->has_data = true;
    return true;
}

static bool take_field(struct sse *s, struct span name, struct span value)
{
    if (span_is(name, "data"))
        return add_data(s, value);
    if (span_is(name, "event")) {
        text_clear(&s->type);
        text_append_span(&s->type, value);
    } else if (span_is(name, "id") && value.len <= SSE_ID_MAX && !memchr(value.data, '\0', value.len)) {
        text_clear(&s->pending_id);
        text_append_span(&s->pending_id, value);
        s->has_id = true;
    }
    return true; /* retry, and what is not known, is ignored */
}

static bool take_line(struct sse *s)
{
    struct span line = text_span(&s->line), name, value = {"", 0};

    if (line.len == 0)
        return dispatch(s);
    if (line.data[0] == ':')
        return tell(s, (struct span){NULL, 0});
    const char *colon = memchr(line.data, ':', line.len);
    name = (struct span){line.data, colon ? (size_t)(colon - line.data) : line.len};
    if (colon)
        value = (struct span){colon + 1, line.len - name.len - 1};
    if (value.len > 0 && value.data[0] == ' ') {
        value.data++;
        value.len--;
    }
    return take_field(s, name, value);
}

static bool end_line(struct sse *s)
{
    static const char MARK[] = "\xef\xbb\xbf"; /* may stand at the very start */

    if (!s->begun && s->line.len >= 3 && memcmp(s->line.data, MARK, 3) == 0) {
        memmove(s->line.data, s->line.data + 3, s->line.len - 2);
        s->line.len -= 3;
    }
    s->begun = true;
    bool go_on = take_line(s);
    text_clear(&s->line);
    return go_on;
}

bool sse_feed(struct sse *s, struct span piece)
{
    while (piece.len > 0) {
        size_t len = 0;

        if (s->after_cr && piece.data[0] == '\n') {
            piece.data++;
            piece.len--;
        }
        s->after_cr = false;
        while (len < piece.len && piece.data[len] != '\r' && piece.data[len] != '\n')
            len++;
        if (len > SSE_LINE_MAX - s->line.len) {
            s->too_large = true;
            return false;
        }
        text_append(&s->line, piece.data, len);
        if (len == piece.len)
            return true;
        s->after_cr = piece.data[len] == '\r';
        piece.data += len + 1;
        piece.len -= len + 1;
        if (!end_line(s))
            return false;
    }
    return true;
}
