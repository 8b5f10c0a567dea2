/* Streams of events, and what is shown of them: told the same however they are cut; nothing shown drives a terminal. */
#include "app/shown.h"
#include "app/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *arg, const struct sse_event *event)
{
    struct text *told = arg;

    text_append_str(told, event->id);
    text_append_char(told, '|');
    text_append_str(told, event->type);
    text_append_char(told, '|');
    text_append_span(told, event->data);
    text_append_char(told, '\n');
    return event->data.len != 13;
}

static bool feed(struct span stream, size_t piece, struct text *told)
{
    struct sse s;
    bool fine = true;

    sse_init(&s, take, told);
    for (size_t at = 0; fine && at < stream.len; at += piece)
        fine = sse_feed(&s, (struct span){stream.data + at, MIN(piece, stream.len - at)});
    sse_done(&s);
    return fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span stream = {(const char *)data, size};
    own(text_done) struct text whole = {0}, cut = {0}, shown = {0};

    if (feed(stream, size + 1, &whole) != feed(stream, 1 + size % 7, &cut) ||
        !span_eq(text_span(&whole), text_span(&cut)))
        abort();
    shown_append(&shown, text_span(&whole));
    for (size_t i = 0; i < shown.len; i++)
        if ((unsigned char)shown.data[i] < 0x20 || shown.data[i] == 0x7f)
            abort();
    if (shown.len > 0 && !utf8_valid(shown.data, shown.len))
        abort();
    return 0;
}
