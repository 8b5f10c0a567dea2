/* Log lines. A line is formatted whole and written with one write(2), so lines of several threads never mix. */
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "bailiff/json.h"
#include "bailiff/log.h"

struct log {
    int fd;
    enum log_format format;
    enum log_level level;
};

struct log *log_new(int fd, enum log_format format, enum log_level level)
{
    struct log *log = xmalloc(sizeof(*log));

    *log = (struct log){fd, format, level};
    return log;
}

void log_free(struct log *log)
{
    free(log);
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log && level >= log->level;
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    return names[level];
}

static void format_json(struct text *out, const char *time, enum log_level level, const char *event,
                        const char *message, const struct log_field *fields, size_t count)
{
    jw_open(out, '{');
    jw_member_string(out, "time", time);
    jw_member_string(out, "level", level_name(level));
    jw_member_string(out, "event", event);
    if (message)
        jw_member_string(out, "message", message);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type == LOG_FIELD_INT)
            jw_member_int(out, fields[i].key, fields[i].number);
        else if (fields[i].string)
            jw_member_string(out, fields[i].key, fields[i].string);
    }
    jw_close(out, '}');
}

/* Bare when nothing in it could be mistaken for structure, else as a JSON string. */
static void text_value(struct text *out, const char *s)
{
    static const bool bare[256] = {['!'] = true, ['#' ... '<'] = true, ['>' ... '['] = true, [']' ... '~'] = true};
    size_t len = 0;

    while (bare[(unsigned char)s[len]])
        len++;
    if (s[len] == '\0' && len > 0) {
        text_append(out, s, len);
    } else {
        struct text quoted = {0};
        jw_string(&quoted, s);
        text_append(out, quoted.data, quoted.len);
        text_done(&quoted);
    }
}

static void format_text(struct text *out, const char *time, enum log_level level, const char *event,
                        const char *message, const struct log_field *fields, size_t count)
{
    text_append_str(out, time);
    text_append_char(out, ' ');
    text_append_str(out, level_name(level));
    text_append_char(out, ' ');
    text_append_str(out, event);
    if (message) {
        text_append_char(out, ' ');
        text_value(out, message);
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type == LOG_FIELD_STRING && !fields[i].string)
            continue;
        text_append_char(out, ' ');
        text_append_str(out, fields[i].key);
        text_append_char(out, '=');
        if (fields[i].type == LOG_FIELD_INT)
            text_append_int(out, fields[i].number);
        else
            text_value(out, fields[i].string);
    }
}

void log_format_line(const struct log *log, struct text *out, enum log_level level, const char *event,
                     const char *message, const struct log_field *fields, size_t count)
{
    char time[TIME_TEXT_SIZE];

    time_format(clock_wall_ms(), time);
    if (log->format == LOG_JSON)
        format_json(out, time, level, event, message, fields, count);
    else
        format_text(out, time, level, event, message, fields, count);
    text_append_char(out, '\n');
}

void log_fields(struct log *log, enum log_level level, const char *event, const char *message,
                const struct log_field *fields, size_t count)
{
    if (!log_enabled(log, level))
        return;
    own(text_done) struct text line = {0};
    log_format_line(log, &line, level, event, message, fields, count);
    log_write_raw(log, line.data, line.len);
}

void log_write_raw(struct log *log, const char *lines, size_t len)
{
    /* A log that cannot be written must not stop the server: there is nobody to tell. */
    if (log && !fd_write_all(log->fd, lines, len))
        return;
}
