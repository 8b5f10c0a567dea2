/* JSON written straight into a text. */
#include "bailiff/clock.h"
#include "bailiff/json.h"

/* A value needs a comma before it unless it is the first in its bracket or line, or stands behind a key. */
static void separate(struct text *t)
{
    if (t->len == 0)
        return;
    char last = t->data[t->len - 1];
    if (last != '{' && last != '[' && last != ':' && last != '\n')
        text_append_char(t, ',');
}

void jw_open(struct text *t, char bracket)
{
    separate(t);
    text_append_char(t, bracket);
}

void jw_close(struct text *t, char bracket)
{
    text_append_char(t, bracket);
}

void jw_key(struct text *t, const char *key)
{
    separate(t);
    text_append_char(t, '"');
    text_append_str(t, key);
    text_append_char(t, '"');
    text_append_char(t, ':');
}

static void escape(struct text *t, unsigned char c)
{
    switch (c) {
    case '"':
        text_append(t, "\\\"", 2);
        break;
    case '\\':
        text_append(t, "\\\\", 2);
        break;
    case '\n':
        text_append(t, "\\n", 2);
        break;
    case '\r':
        text_append(t, "\\r", 2);
        break;
    case '\t':
        text_append(t, "\\t", 2);
        break;
    default:
        text_printf(t, "\\u%04x", c);
    }
}

/* Bytes from s that need neither escape nor replacement. */
static size_t plain_run(const char *s, size_t len)
{
    static const bool plain[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};
    size_t i = 0;

    while (i < len && plain[(unsigned char)s[i]])
        i++;
    return i;
}

void jw_string_len(struct text *t, const char *s, size_t len)
{
    separate(t);
    text_append_char(t, '"');
    while (len > 0) {
        size_t run = plain_run(s, len);
        if (run == 0) {
            unsigned char c = (unsigned char)*s;
            if (c < 0x80) {
                escape(t, c);
                run = 1;
            } else {
                for (run = 2; run <= 4 && run <= len && !utf8_valid(s, run); run++)
                    ;
                if (run > 4 || run > len) {
                    text_append(t, "\xef\xbf\xbd", 3);
                    run = 1;
                } else {
                    text_append(t, s, run);
                }
            }
        } else {
            text_append(t, s, run);
        }
        s += run;
        len -= run;
    }
    text_append_char(t, '"');
}

void jw_string(struct text *t, const char *s)
{
    if (s)
        jw_string_len(t, s, strlen(s));
    else
        jw_null(t);
}

void jw_int(struct text *t, int64_t n)
{
    separate(t);
    text_append_int(t, n);
}

void jw_bool(struct text *t, bool b)
{
    separate(t);
    text_append_str(t, b ? "true" : "false");
}

void jw_null(struct text *t)
{
    separate(t);
    text_append_str(t, "null");
}

void jw_time(struct text *t, int64_t wall_ms)
{
    char time[TIME_TEXT_SIZE];

    if (wall_ms == 0) {
        jw_null(t);
        return;
    }
    time_format(wall_ms, time);
    jw_string(t, time);
}

void jw_raw(struct text *t, const char *json, size_t len)
{
    separate(t);
    text_append(t, json, len);
}

void jw_member_string(struct text *t, const char *key, const char *s)
{
    jw_key(t, key);
    jw_string(t, s);
}

void jw_member_int(struct text *t, const char *key, int64_t n)
{
    jw_key(t, key);
    jw_int(t, n);
}

void jw_member_bool(struct text *t, const char *key, bool b)
{
    jw_key(t, key);
    jw_bool(t, b);
}

void jw_member_time(struct text *t, const char *key, int64_t wall_ms)
{
    jw_key(t, key);
    jw_time(t, wall_ms);
}

void jw_member_raw(struct text *t, const char *key, const char *json)
{
    jw_key(t, key);
    if (json)
        jw_raw(t, json, strlen(json));
    else
        jw_null(t);
}
