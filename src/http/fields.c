/* Header fields with a grammar of their own: Idempotency-Key, traceparent, lists of entity tags. */
#include "bailiff/http.h"

enum { IDEMPOTENCY_KEY_MAX = 255 };

/* RFC 8941 §3.3.3: printable ASCII in quotes; only the quote and the backslash are escaped, and always. */
static bool read_quoted_key(struct span s, struct span *ret_key)
{
    size_t characters = 0;

    if (s.len < 2 || s.data[0] != '"' || s.data[s.len - 1] != '"')
        return false;
    const struct span inside = {s.data + 1, s.len - 2};
    for (size_t i = 0; i < inside.len; i++, characters++) {
        char c = inside.data[i];
        if (c < 0x20 || c > 0x7e || c == '"')
            return false;
        if (c == '\\' && (++i == inside.len || (inside.data[i] != '"' && inside.data[i] != '\\')))
            return false;
    }
    if (characters == 0 || characters > IDEMPOTENCY_KEY_MAX)
        return false;
    *ret_key = inside;
    return true;
}

/* Visible ASCII, but for what would make it a list, have parameters, or be read as another string in quotes. */
static bool read_bare_key(struct span s, struct span *ret_key)
{
    if (!text_is_visible_ascii(s) || s.len > IDEMPOTENCY_KEY_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (strchr("\"\\,;", s.data[i]))
            return false;
    *ret_key = s;
    return true;
}

enum header_state idempotency_key_read(const struct exchange *x, struct span *ret_key)
{
    const struct header *header = exchange_header(x, "idempotency-key");

    if (!header)
        return HEADER_NONE;
    if (exchange_header_count(x, "idempotency-key") > 1)
        return HEADER_BAD;
    struct span value = span_trim(header->value);
    bool quoted = value.len > 0 && value.data[0] == '"';
    return (quoted ? read_quoted_key(value, ret_key) : read_bare_key(value, ret_key)) ? HEADER_OK : HEADER_BAD;
}

/* Lower-case hexadecimal digits only, as W3C's trace context demands. */
static bool is_hex(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.data[i] >= '0' && s.data[i] <= '9') || (s.data[i] >= 'a' && s.data[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != '0')
            return false;
    return true;
}

enum header_state traceparent_read(struct span value, struct span *ret_trace_id, struct span *ret_parent_id,
                                   uint8_t *ret_flags)
{
    enum { LENGTH = 55 }; /* vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff */

    if (!value.data)
        return HEADER_NONE;
    if (value.len < LENGTH || value.data[2] != '-' || value.data[35] != '-' || value.data[52] != '-')
        return HEADER_BAD;
    const struct span version = {value.data, 2}, trace = {value.data + 3, 32};
    const struct span parent = {value.data + 36, 16}, flags = {value.data + 53, 2};
    uint8_t bits;
    if (!is_hex(version) || !is_hex(trace) || !is_hex(parent) || !is_hex(flags) || !hex_decode(flags, &bits, 1))
        return HEADER_BAD;
    if (span_eq(version, SPAN("ff")) || is_zero(trace) || is_zero(parent))
        return HEADER_BAD;
    /* a later version may add fields; ours may not */
    if (value.len > LENGTH && (is_zero(version) || value.data[LENGTH] != '-'))
        return HEADER_BAD;
    *ret_trace_id = trace;
    *ret_parent_id = parent;
    *ret_flags = bits;
    return HEADER_OK;
}

/* [W/]"opaque": takes it off *rest. */
static bool take_etag(struct span *rest, bool *ret_weak, struct span *ret_tag)
{
    struct span s = *rest;
    size_t len = 0;

    *ret_weak = s.len >= 2 && s.data[0] == 'W' && s.data[1] == '/';
    if (*ret_weak)
        s = (struct span){s.data + 2, s.len - 2};
    if (s.len < 2 || s.data[0] != '"')
        return false;
    s = (struct span){s.data + 1, s.len - 1};
    for (; len < s.len && s.data[len] != '"'; len++) {
        unsigned char c = (unsigned char)s.data[len];
        if (c <= 0x20 || c == 0x7f)
            return false;
    }
    if (len == s.len)
        return false;
    *ret_tag = (struct span){s.data, len};
    *rest = span_trim((struct span){s.data + len + 1, s.len - len - 1});
    return true;
}

/* A list that is malformed anywhere matches nothing: If-Match then refuses, and If-None-Match sends the whole thing. */
bool etag_list_matches(struct span list, const char *etag, bool weak)
{
    struct span rest = span_trim(list), tag;
    bool matches = false, is_weak;

    if (span_eq(rest, SPAN("*")))
        return true;
    while (rest.len > 0) {
        if (rest.data[0] != ',') {
            if (!take_etag(&rest, &is_weak, &tag) || (rest.len > 0 && rest.data[0] != ','))
                return false;
            matches |= span_is(tag, etag) && (weak || !is_weak);
        }
        if (rest.len > 0) /* the comma; empty elements are allowed (RFC 9110 §5.6.1) */
            rest = span_trim((struct span){rest.data + 1, rest.len - 1});
    }
    return matches;
}
