/* Strict JSON reading over jansson. */
#include "bailiff/json.h"

#include <pthread.h>

/* ---- memory ---- jansson's lexer goes on without the bytes that it had no memory for: only its allocator knows of it. */
static json_malloc_t allocate; /* whatever stood there before; written once */
static __thread bool is_short;

static void *allocate_watched(size_t size)
{
    void *p = allocate(size);

    is_short |= !p;
    return p;
}

static void watch_memory(void)
{
    json_free_t release;

    json_get_alloc_funcs(&allocate, &release);
    json_set_alloc_funcs(allocate_watched, release);
}

/* ---- reading ---- */

struct place {
    unsigned line, column;
};

static struct place place_of(struct span s, size_t offset)
{
    struct place p = {1, 1};

    for (size_t i = 0; i < offset && i < s.len; i++) {
        if (s.data[i] == '\n') {
            p.line++;
            p.column = 1;
        } else if (((unsigned char)s.data[i] & 0xc0) != 0x80) {
            p.column++;
        }
    }
    return p;
}

/* Depth of nesting, so that jansson's recursion has a bound of ours. Offset of the bracket that is one too many, or -1. */
static ptrdiff_t too_deep(struct span s)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return (ptrdiff_t)i;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return -1;
}

bool json_read(struct span s, const char *what, json_t **ret_value, struct fault *fault)
{
    json_error_t error;
    ptrdiff_t deep = too_deep(s);

    if (deep >= 0) {
        struct place p = place_of(s, (size_t)deep);
        return fault_set(fault, FAULT_INVALID,
                         "%s is nested too deeply at line %u, column %u: %d levels are the limit.", what, p.line,
                         p.column, JSON_DEPTH_MAX);
    }
    const char *nul = s.len > 0 ? memchr(s.data, '\0', s.len) : NULL;
    if (nul) { /* jansson takes one behind a word for the end */
        struct place p = place_of(s, (size_t)(nul - s.data));
        return fault_set(fault, FAULT_INVALID, "%s is not valid JSON at line %u, column %u: it holds a NUL.", what,
                         p.line, p.column);
    }
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_memory);
    is_short = false;
    json_t *value = json_loadb(s.data ? s.data : "", s.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (is_short) {
        json_decref(value);
        return fault_unavailable(fault, 1, "There is no memory to read %s.", what);
    }
    if (value) {
        *ret_value = value;
        return true;
    }
    const char *why;
    switch (json_error_code(&error)) {
    case json_error_duplicate_key:
        why = "a member stands twice in an object";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        why = "a string holds a NUL";
        break;
    case json_error_numeric_overflow:
        why = "a number is out of range";
        break;
    case json_error_invalid_utf8:
        why = "it is not UTF-8";
        break;
    case json_error_premature_end_of_input:
        why = "it ends too early";
        break;
    case json_error_end_of_input_expected:
        why = "something stands behind its end";
        break;
    default:
        why = "a token is not where JSON has one";
        break;
    }
    struct place p = place_of(s, error.position > 0 ? (size_t)error.position : 0);
    return fault_set(fault, FAULT_INVALID, "%s is not valid JSON at line %u, column %u: %s.", what,
                     error.line > 0 ? (unsigned)error.line : p.line,
                     error.column > 0 ? (unsigned)error.column : p.column, why);
}

const char *json_member_string(const json_t *object, const char *key, bool *ok)
{
    json_t *member = json_object_get(object, key);

    if (!member || json_is_null(member))
        return NULL;
    if (!json_is_string(member)) {
        *ok = false;
        return NULL;
    }
    return json_string_value(member);
}

int64_t json_member_int(const json_t *object, const char *key, int64_t absent, bool *ok)
{
    json_t *member = json_object_get(object, key);

    if (!member || json_is_null(member))
        return absent;
    if (!json_is_integer(member)) {
        *ok = false;
        return absent;
    }
    return json_integer_value(member);
}

bool json_member_bool(const json_t *object, const char *key, bool absent, bool *ok)
{
    json_t *member = json_object_get(object, key);

    if (!member || json_is_null(member))
        return absent;
    if (!json_is_boolean(member)) {
        *ok = false;
        return absent;
    }
    return json_is_true(member);
}

/* One reference token with ~0 and ~1 undone; false if it does not fit or is malformed. */
static bool pointer_token(struct span part, char out[256])
{
    size_t len = 0;

    for (size_t i = 0; i < part.len; i++) {
        char c = part.data[i];
        if (c == '~') {
            if (++i == part.len || (part.data[i] != '0' && part.data[i] != '1'))
                return false;
            c = part.data[i] == '0' ? '~' : '/';
        }
        if (len == 255)
            return false;
        out[len++] = c;
    }
    out[len] = '\0';
    return true;
}

json_t *json_pointer(const json_t *document, const char *pointer)
{
    const json_t *at = document;
    char token[256];
    struct span part, rest;

    if (*pointer == '\0')
        return (json_t *)document;
    if (*pointer != '/')
        return NULL;
    rest = span_of(pointer + 1);
    while (at && span_cut(&rest, '/', &part)) {
        uint64_t index;
        if (!pointer_token(part, token))
            return NULL;
        if (json_is_object(at)) {
            at = json_object_get(at, token);
        } else if (json_is_array(at)) {
            if (!span_to_u64(part, UINT32_MAX, &index) || (part.len > 1 && part.data[0] == '0'))
                return NULL;
            at = json_array_get(at, (size_t)index);
        } else {
            at = NULL;
        }
    }
    return (json_t *)at;
}
