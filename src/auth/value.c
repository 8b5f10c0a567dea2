#include "auth/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "bailiff/json.h"

struct reader {
    char *at, *end;
    struct values *values;
    unsigned depth;
};

static bool read_value(struct reader *r, struct value *value);

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_word(struct reader *r, const char *word, size_t len)
{
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

static struct value *add_value(struct reader *r)
{
    if (r->values->count == VALUES_MAX)
        return NULL;
    struct value *value = &r->values->items[r->values->count++];
    value->name = (struct span){0};
    value->next = NULL;
    return value;
}

/* ---- strings ---- */

static bool take_hex4(struct reader *r, uint32_t *ret)
{
    uint8_t bytes[2];

    if (r->end - r->at < 4 || !hex_decode((struct span){r->at, 4}, bytes, sizeof(bytes)))
        return false;
    r->at += 4;
    *ret = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

/* Behind "\u". A surrogate without its other half is no character, and NUL would hide what stands behind it. */
static bool take_unicode(struct reader *r, char **out)
{
    uint32_t c, low;

    if (!take_hex4(r, &c) || c == 0 || (c >= 0xdc00 && c <= 0xdfff))
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (!take_word(r, "\\u", 2) || !take_hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, c);
    return true;
}

/* Behind the backslash. What it becomes is never longer than what it was. */
static bool take_escape(struct reader *r, char **out)
{
    static const char written[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

    if (r->at == r->end)
        return false;
    char c = *r->at++;
    if (c == 'u')
        return take_unicode(r, out);
    const char *found = c ? strchr(written, c) : NULL;
    if (!found)
        return false;
    *(*out)++ = meant[found - written];
    return true;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

/* Behind the opening quote. */
static bool read_string(struct reader *r, struct span *ret)
{
    char *start = r->at, *out;

    while (r->at < r->end && is_plain(*r->at))
        r->at++;
    out = r->at;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\') {
            r->at++;
            if (!take_escape(r, &out))
                return false;
        } else if (is_plain(*r->at)) {
            *out++ = *r->at++;
        } else {
            return false;
        }
    }
    if (!take(r, '"'))
        return false;
    *out = '\0';
    *ret = (struct span){start, (size_t)(out - start)};
    return true;
}

/* ---- numbers ---- */

static size_t take_digits(struct reader *r)
{
    const char *start = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - start);
}

static bool read_number(struct reader *r, double *ret)
{
    enum { EXACT_DIGITS = 15 }; /* so many are exact in a double */
    char *start = r->at;
    bool negative = take(r, '-'), whole = true;
    char *digits = r->at;
    size_t count = take_digits(r);

    if (count == 0 || (count > 1 && *digits == '0'))
        return false;
    if (take(r, '.')) {
        whole = false;
        if (take_digits(r) == 0)
            return false;
    }
    if (take(r, 'e') || take(r, 'E')) {
        whole = false;
        if (!take(r, '+'))
            (void)take(r, '-');
        if (take_digits(r) == 0)
            return false;
    }
    /* what stands behind it is a blank or punctuation, or nothing */
    if (!whole) {
        *ret = strtod(start, NULL);
        return isfinite(*ret);
    }
    if (count > EXACT_DIGITS) {
        errno = 0;
        *ret = (double)strtoll(start, NULL, 10);
        return errno == 0;
    }
    int64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n = 10 * n + (digits[i] - '0');
    *ret = negative ? -(double)n : (double)n;
    return true;
}

/* ---- arrays, objects ---- */

static bool read_array(struct reader *r, struct value *array)
{
    struct value **link = &array->first;

    skip_blanks(r);
    if (take(r, ']'))
        return true;
    do {
        struct value *item = add_value(r);
        if (!item || !read_value(r, item))
            return false;
        *link = item;
        link = &item->next;
        skip_blanks(r);
    } while (take(r, ','));
    return take(r, ']');
}

static uint32_t hash_of(struct span name) /* FNV-1a: only to look past most names */
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
    return hash;
}

static bool is_double(const struct value *object, const struct value *member)
{
    for (const struct value *m = object->first; m; m = m->next)
        if (m->name_hash == member->name_hash && span_eq(m->name, member->name))
            return true;
    return false;
}

static bool read_member(struct reader *r, const struct value *object, struct value *member)
{
    skip_blanks(r);
    if (!take(r, '"') || !read_string(r, &member->name))
        return false;
    member->name_hash = hash_of(member->name);
    if (is_double(object, member))
        return false;
    skip_blanks(r);
    return take(r, ':') && read_value(r, member);
}

static bool read_object(struct reader *r, struct value *object)
{
    struct value **link = &object->first;
    size_t count = 0;

    skip_blanks(r);
    if (take(r, '}'))
        return true;
    do {
        struct value *member = ++count > VALUE_MEMBERS_MAX ? NULL : add_value(r);
        if (!member || !read_member(r, object, member))
            return false;
        *link = member;
        link = &member->next;
        skip_blanks(r);
    } while (take(r, ','));
    return take(r, '}');
}

static bool read_nested(struct reader *r, struct value *value, bool (*read)(struct reader *r, struct value *value))
{
    value->first = NULL;
    if (++r->depth > JSON_DEPTH_MAX)
        return false;
    r->at++;
    if (!read(r, value))
        return false;
    r->depth--;
    return true;
}

static bool read_value(struct reader *r, struct value *value)
{
    skip_blanks(r);
    if (r->at == r->end)
        return false;
    switch (*r->at) {
    case '{':
        value->type = VALUE_OBJECT;
        return read_nested(r, value, read_object);
    case '[':
        value->type = VALUE_ARRAY;
        return read_nested(r, value, read_array);
    case '"':
        value->type = VALUE_STRING;
        r->at++;
        return read_string(r, &value->text);
    case 't':
        value->type = VALUE_BOOLEAN;
        return take_word(r, "true", 4);
    case 'f':
        value->type = VALUE_BOOLEAN;
        return take_word(r, "false", 5);
    case 'n':
        value->type = VALUE_NULL;
        return take_word(r, "null", 4);
    default:
        value->type = VALUE_NUMBER;
        return read_number(r, &value->number);
    }
}

bool value_read(char *bytes, size_t len, struct values *values, const struct value **ret_value)
{
    struct reader r = {.at = bytes, .end = bytes + len, .values = values};

    bytes[len] = '\0'; /* for strtod */
    values->count = 0;
    struct value *root = add_value(&r);
    if (!utf8_valid(bytes, len) || !read_value(&r, root))
        return false;
    skip_blanks(&r);
    if (r.at != r.end)
        return false;
    *ret_value = root;
    return true;
}

/* ---- looking ---- */

const struct value *value_member(const struct value *object, struct span name)
{
    if (!object || object->type != VALUE_OBJECT)
        return NULL;
    for (const struct value *m = object->first; m; m = m->next)
        if (span_eq(m->name, name))
            return m;
    return NULL;
}

static const struct value *array_item(const struct value *array, struct span part)
{
    const struct value *item = array->first;
    uint64_t index;

    if (!span_to_u64(part, VALUES_MAX, &index) || (part.len > 1 && part.data[0] == '0'))
        return NULL;
    while (item && index-- > 0)
        item = item->next;
    return item;
}

/* Is the name what the pointer's token says, with ~0 and ~1 undone? */
static bool token_is(struct span token, struct span name)
{
    size_t n = 0;

    for (size_t i = 0; i < token.len; i++, n++) {
        char c = token.data[i];
        if (c == '~') {
            if (++i == token.len || (token.data[i] != '0' && token.data[i] != '1'))
                return false;
            c = token.data[i] == '0' ? '~' : '/';
        }
        if (n == name.len || name.data[n] != c)
            return false;
    }
    return n == name.len;
}

static const struct value *object_member(const struct value *object, struct span token)
{
    const struct value *m = object->first;

    while (m && !token_is(token, m->name))
        m = m->next;
    return m;
}

const struct value *value_at(const struct value *document, const char *pointer)
{
    const struct value *at = document;
    struct span rest, token;

    if (*pointer == '\0')
        return document;
    if (*pointer != '/')
        return NULL;
    rest = span_of(pointer + 1);
    while (at && span_cut(&rest, '/', &token)) {
        if (at->type == VALUE_OBJECT)
            at = object_member(at, token);
        else
            at = at->type == VALUE_ARRAY ? array_item(at, token) : NULL;
    }
    return at;
}

const char *value_text(const struct value *value)
{
    return value && value->type == VALUE_STRING ? value->text.data : NULL;
}
