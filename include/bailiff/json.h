/* JSON: strict reading over jansson, fast writing straight into a text. Pure; no locks. */
#ifndef BAILIFF_JSON_H
#define BAILIFF_JSON_H

#include <jansson.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

static inline void json_freep(json_t **value)
{
    json_decref(*value);
}

enum { JSON_DEPTH_MAX = 64 };

/* Reads one JSON document: UTF-8, no duplicate members, no NUL in strings, nothing behind it, at most JSON_DEPTH_MAX deep
 * (checked before jansson recurses). `what` names the document in the message ("The body"), which has line and column. */
must_check bool json_read(struct span s, const char *what, json_t **ret_value, struct fault *fault);

/* Members of an object; each returns NULL or the given default when the member is absent or null, and false in *ok
 * (never set to true) when it has another type. ok may not be NULL. */
const char *json_member_string(const json_t *object, const char *key, bool *ok);
int64_t json_member_int(const json_t *object, const char *key, int64_t absent, bool *ok);
bool json_member_bool(const json_t *object, const char *key, bool absent, bool *ok);

/* RFC 6901 pointer; NULL if it leads nowhere. */
json_t *json_pointer(const json_t *document, const char *pointer);

/* ---- writing ---- Commas are placed by looking at the last byte written, so pieces can be composed freely. */
void jw_open(struct text *t, char bracket);    /* '{' or '[' */
void jw_close(struct text *t, char bracket);   /* '}' or ']' */
void jw_key(struct text *t, const char *key);  /* plain ASCII key, written as it stands */
void jw_string(struct text *t, const char *s); /* NULL writes null; bytes that are no UTF-8 become U+FFFD */
void jw_string_len(struct text *t, const char *s, size_t len);
void jw_int(struct text *t, int64_t n);
void jw_bool(struct text *t, bool b);
void jw_null(struct text *t);
void jw_time(struct text *t, int64_t wall_ms);             /* RFC 3339 string; 0 writes null */
void jw_raw(struct text *t, const char *json, size_t len); /* a value that is JSON already */
/* key and value at once */
void jw_member_string(struct text *t, const char *key, const char *s);
void jw_member_int(struct text *t, const char *key, int64_t n);
void jw_member_bool(struct text *t, const char *key, bool b);
void jw_member_time(struct text *t, const char *key, int64_t wall_ms);
void jw_member_raw(struct text *t, const char *key, const char *json); /* NULL writes null */

#endif
