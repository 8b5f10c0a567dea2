#include "app/shown.h"

#include <time.h>

#include "bailiff/clock.h"

struct range {
    uint32_t first, last;
};

/* Invisible, or changing how what follows is shown. */
static const struct range HIDDEN[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x034f, 0x034f},
                                      {0x061c, 0x061c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
                                      {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164},
                                      {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff}};
static const struct range COMBINING[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},
                                         {0x064b, 0x065f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff},
                                         {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
static const struct range WIDE[] = {{0x1100, 0x115e},   {0x2e80, 0x303e},  {0x3041, 0x33ff},   {0x3400, 0x4dbf},
                                    {0x4e00, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                    {0xff01, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
                                    {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

static bool among(uint32_t c, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}
#define AMONG(c, ranges) among(c, ranges, ARRAY_LEN(ranges))

/* ---- characters ---- */
static size_t expected_len(unsigned char first)
{
    return first < 0x80                     ? 1
           : first >= 0xc2 && first <= 0xdf ? 2
           : first >= 0xe0 && first <= 0xef ? 3
           : first >= 0xf0 && first <= 0xf4 ? 4
                                            : 0;
}

/* Length of the character at s, and which it is; 0: these bytes are no UTF-8. */
static size_t decode(struct span s, uint32_t *ret)
{
    static const unsigned char MASK[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t len = expected_len((unsigned char)s.data[0]);
    uint32_t c;

    if (len == 0 || len > s.len || !utf8_valid(s.data, len))
        return 0;
    c = (unsigned char)s.data[0] & MASK[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)s.data[i] & 0x3f);
    *ret = c;
    return len;
}

static void append_escape(struct text *out, uint32_t c)
{
    static const char NAMES[] = "abtnvfr"; /* 7 … 13 */

    if (c >= 7 && c <= 13)
        text_printf(out, "\\%c", NAMES[c - 7]);
    else if (c < 0x100)
        text_printf(out, "\\x%02x", c);
    else
        text_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

static void append_json_escape(struct text *out, uint32_t c)
{
    if (c < 0x10000)
        text_printf(out, "\\u%04x", c);
    else
        text_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static void append_with(struct text *out, struct span s, const char *kept, void (*escape)(struct text *out, uint32_t c))
{
    while (s.len > 0) {
        uint32_t c;
        size_t len = decode(s, &c);

        if (len == 0)
            text_printf(out, "\\x%02x", (unsigned char)s.data[0]);
        else if (AMONG(c, HIDDEN) && (c == 0 || c > 0x7f || !strchr(kept, (int)c)))
            escape(out, c);
        else
            text_append(out, s.data, len);
        len = len ? len : 1;
        s.data += len;
        s.len -= len;
    }
}

void shown_append(struct text *out, struct span s)
{
    append_with(out, s, "", append_escape);
}

void shown_append_json(struct text *out, struct span json)
{
    append_with(out, json, "\n", append_json_escape);
}

size_t shown_columns(struct span s)
{
    size_t columns = 0;

    while (s.len > 0) {
        uint32_t c = 0;
        size_t len = MAX(decode(s, &c), (size_t)1);

        columns += AMONG(c, COMBINING) ? 0 : AMONG(c, WIDE) ? 2 : 1;
        s.data += len;
        s.len -= len;
    }
    return columns;
}

/* ---- logs ---- */
/* How many bytes at the end are a character that is not whole yet. */
static size_t cut_at_end(struct span s)
{
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        unsigned char c = (unsigned char)s.data[s.len - back];

        if ((c & 0xc0) != 0x80)
            return expected_len(c) > back ? back : 0;
    }
    return 0;
}

void shown_stream_append(struct shown_stream *stream, struct text *out, struct span piece)
{
    own(text_done) struct text whole = {0};
    size_t cut;

    text_append(&whole, stream->cut, stream->cut_len);
    text_append_span(&whole, piece);
    cut = cut_at_end(text_span(&whole));
    append_with(out, (struct span){whole.data, whole.len - cut}, "\n\t", append_escape);
    if (cut > 0)
        memcpy(stream->cut, whole.data + whole.len - cut, cut);
    stream->cut_len = cut;
}

void shown_stream_end(struct shown_stream *stream, struct text *out)
{
    shown_append(out, (struct span){stream->cut, stream->cut_len});
    stream->cut_len = 0;
}

/* ---- times ---- */
static bool read_time(const char *s, int64_t *ret_ms)
{
    size_t len = strlen(s);

    if (time_parse(s, len, ret_ms))
        return true;
    if (len < 19 || len > 26 || s[10] != ' ') /* str(datetime), in UTC */
        return false;
    own(freep) char *rfc = xprintf("%.10sT%sZ", s, s + 11);
    return time_parse(rfc, strlen(rfc), ret_ms);
}

void shown_time(struct text *out, const char *time, bool zone)
{
    int64_t ms;
    struct tm tm;
    char text[64];
    time_t s;

    if (!read_time(time, &ms)) {
        shown_append(out, span_of(time));
        return;
    }
    s = (time_t)(ms / 1000);
    if (!localtime_r(&s, &tm) ||
        strftime(text, sizeof(text), zone ? "%Y-%m-%d %H:%M:%S %z" : "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(text, sizeof(text), "%lld", (long long)s);
    text_append_str(out, text);
}

void shown_duration(struct text *out, int64_t ms)
{
    long long s = ms / 1000;

    if (ms < 0)
        text_append_str(out, "-");
    else if (ms < 1000)
        text_printf(out, "%lldms", (long long)ms);
    else if (s < 60)
        text_printf(out, "%lld.%llds", s, (long long)ms % 1000 / 100);
    else if (s < 3600)
        text_printf(out, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        text_printf(out, "%lldh%02lldm", s / 3600, s % 3600 / 60);
    else
        text_printf(out, "%lldd%02lldh", s / 86400, s % 86400 / 3600);
}

/* ---- tables ---- */
void table_init(struct table *t, const char *const *titles, size_t columns)
{
    *t = (struct table){.titles = titles, .columns = columns};
    for (size_t i = 0; i < columns; i++)
        t->widths[i] = shown_columns(span_of(titles[i]));
}

void table_done(struct table *t)
{
    text_done(&t->cells);
}

void table_cell(struct table *t, const char *text)
{
    size_t column = t->count % t->columns, before = t->cells.len;

    shown_append(&t->cells, span_of(text && text[0] ? text : "-"));
    t->widths[column] =
        MAX(t->widths[column], shown_columns((struct span){t->cells.data + before, t->cells.len - before}));
    text_append(&t->cells, "", 1);
    t->count++;
}

static void print_cell(const struct table *t, FILE *out, size_t column, const char *text)
{
    bool last = column + 1 == t->columns;
    size_t gap = t->widths[column] - shown_columns(span_of(text)) + 2;

    fputs(text, out);
    if (last)
        fputc('\n', out);
    else
        fprintf(out, "%*s", (int)gap, "");
}

void table_print(struct table *t, FILE *out)
{
    const char *cell = t->cells.data;

    if (t->count > 0 && !t->begun)
        for (size_t i = 0; i < t->columns; i++)
            print_cell(t, out, i, t->titles[i]);
    t->begun = t->begun || t->count > 0;
    for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1)
        print_cell(t, out, i % t->columns, cell);
    text_clear(&t->cells);
    t->count = 0;
}
