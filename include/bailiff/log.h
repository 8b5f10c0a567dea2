/* Structured log lines, JSON or text, one write(2) a line, to one descriptor. Thread-safe. Only app, server and the
 * threads of jobs, store and auth that have nobody to return a fault to write to it; library code returns faults.
 * Values are escaped: what a client sends cannot forge a line. Secrets are never passed here. */
#ifndef BAILIFF_LOG_H
#define BAILIFF_LOG_H

#include "bailiff/text.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log;
struct log *log_new(int fd, enum log_format format, enum log_level level); /* does not own fd */
void log_free(struct log *log);

struct log_field {
    const char *key;
    enum { LOG_FIELD_STRING, LOG_FIELD_INT } type;
    const char *string; /* NULL: the field is left out */
    int64_t number;
};
#define L_STR(k, v) ((struct log_field){(k), LOG_FIELD_STRING, (v), 0})
#define L_INT(k, v) ((struct log_field){(k), LOG_FIELD_INT, NULL, (int64_t)(v)})

bool log_enabled(const struct log *log, enum log_level level);
void log_fields(struct log *log, enum log_level level, const char *event, const char *message,
                const struct log_field *fields, size_t count);
/* log_write(log, LOG_INFO, "server.started", "Listening.", L_INT("port", 8443)); log may be NULL. */
#define log_write(log, level, event, message, ...)                                          \
    log_fields((log), (level), (event), (message), (const struct log_field[]){__VA_ARGS__}, \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* Formats a line (newline included) into out without writing it: for a buffer that a loop writes once a turn. */
void log_format_line(const struct log *log, struct text *out, enum log_level level, const char *event,
                     const char *message, const struct log_field *fields, size_t count);
void log_write_raw(struct log *log, const char *lines, size_t len); /* whole lines */

#endif
