/* The JSON of a token, read strictly and in place: a tree in the caller's memory, nothing allocated, whatever a stranger sends.
 *
 * It accepts what json_read of base accepts: UTF-8 (RFC 8259), no member twice, no NUL in a string, nothing behind the end, at most
 * JSON_DEPTH_MAX deep; and it has bounds of its own. Texts are unescaped where they stand and end in NUL. */
#ifndef AUTH_VALUE_H
#define AUTH_VALUE_H

#include "bailiff/text.h"

enum {
    VALUES_MAX = 1024,       /* in one document */
    VALUE_MEMBERS_MAX = 256, /* of one object: looking for doubles takes its square */
};

enum value_type { VALUE_NULL, VALUE_BOOLEAN, VALUE_NUMBER, VALUE_STRING, VALUE_ARRAY, VALUE_OBJECT };

struct value {
    enum value_type type;
    uint32_t name_hash;
    struct span name;   /* of a member */
    struct value *next; /* sibling, or NULL */
    union {
        struct span text;    /* VALUE_STRING */
        double number;       /* VALUE_NUMBER: finite */
        struct value *first; /* VALUE_ARRAY, VALUE_OBJECT: NULL: empty */
    };
};

struct values { /* too large to be cleared for every token: value_read sets what it uses */
    size_t count;
    struct value items[VALUES_MAX];
};

/* Reads a document that lies in `bytes`, changing it; bytes[len] must be writable too. The value lives as long as both. */
must_check bool value_read(char *bytes, size_t len, struct values *values, const struct value **ret_value);

/* A member of an object; NULL: there is none, or it is no object. */
const struct value *value_member(const struct value *object, struct span name);
/* RFC 6901 pointer; NULL if it leads nowhere. */
const struct value *value_at(const struct value *document, const char *pointer);
/* NULL: it is no string (NULL is none). */
const char *value_text(const struct value *value);

#endif
