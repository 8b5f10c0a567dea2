/* Growing byte strings, spans, arenas, and the small text functions that everything needs. Pure; no locks. */
#ifndef BAILIFF_TEXT_H
#define BAILIFF_TEXT_H

#include "bailiff/common.h"

/* ---- span: bytes owned by somebody else; not terminated ---- */
struct span {
    const char *data;
    size_t len;
};
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
static inline struct span span_of(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}
static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool span_is(struct span a, const char *s)
{
    return span_eq(a, span_of(s));
}
bool bytes_ieq(const char *a, const char *b, size_t len); /* ASCII case-insensitive */
static inline bool span_ieq(struct span a, struct span b)
{
    return a.len == b.len && bytes_ieq(a.data, b.data, a.len);
}
struct span span_trim(struct span s); /* without leading and trailing SP and HTAB (RFC 9110 OWS) */
bool span_cut(struct span *rest, char separator, struct span *ret_part); /* next part of a list; false at the end */
bool span_to_u64(struct span s, uint64_t max, uint64_t *ret); /* decimal digits only, no sign, no blanks, <= max */

/* ---- text: a growing buffer, always NUL-terminated once something was appended ---- */
struct text {
    char *data; /* NULL while empty and never used */
    size_t len, cap;
};
void text_done(struct text *t); /* frees; the text is empty and usable again */
void text_clear(struct text *t);
void text_append(struct text *t, const void *data, size_t len);
void text_append_str(struct text *t, const char *s);
void text_append_span(struct text *t, struct span s);
void text_reserve(struct text *t, size_t more); /* room for so much more without another allocation */
static inline void text_append_char(struct text *t, char c)
{
    if (t->len + 1 >= t->cap)
        text_reserve(t, 1);
    t->data[t->len++] = c;
    t->data[t->len] = '\0';
}
void text_append_int(struct text *t, int64_t n);
void text_printf(struct text *t, const char *format, ...) printf_like(2, 3);
char *text_take(struct text *t); /* the string, to be freed by the caller; never NULL */
static inline struct span text_span(const struct text *t)
{
    return (struct span){t->data, t->len};
}

/* ---- arena: many allocations, one end ---- */
struct arena {
    struct arena_block *blocks;
};
void arena_done(struct arena *a);                   /* frees all; usable again */
void *arena_alloc(struct arena *a, size_t size);    /* zeroed, aligned for anything */
char *arena_strdup(struct arena *a, const char *s); /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *format, ...) printf_like(2, 3);

/* ---- encodings ---- */
void hex_encode(const uint8_t *data, size_t len, char *out /* 2 * len + 1 */);
bool hex_decode(struct span s, uint8_t *out, size_t len); /* exactly 2 * len lower- or upper-case digits */
/* Base64url without padding (RFC 4648 §5). Decoding is strict: no padding, no blanks, and the unused bits of the last
 * character must be zero, so that every byte string has one spelling. Returns false if it does not fit into cap. */
void base64url_encode(const uint8_t *data, size_t len, struct text *out);
must_check bool base64url_decode(struct span s, uint8_t *out, size_t cap, size_t *ret_len);

bool utf8_valid(const char *s, size_t len); /* RFC 3629: no surrogates, no overlong forms */
bool text_is_visible_ascii(struct span s);  /* 0x21 … 0x7e only, not empty */
bool text_is_identifier(struct span s);     /* [A-Za-z_][A-Za-z0-9_]*, at most 128 */
const char *text_nearest(const char *wanted, const char *const *names,
                         size_t count); /* "did you mean"; NULL if none is near */

/* FNV-1a over one piece after the other; begins with HASH_BEGIN. For what no stranger gains by making collide. */
#define HASH_BEGIN UINT64_C(14695981039346656037)
static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

#endif
