#include "model/manifest_reader.h"

#include <stdarg.h>
#include <stdio.h>

bool reader_bad(struct manifest_reader *r, const char *format, ...)
{
    char what[1024]; /* longer than a fault's message, which is the one that is cut */
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return fault_set(r->fault, FAULT_INVALID, "%s: %s", r->where[0] ? r->where : "the manifest", what);
}

bool name_is_clean(const char *s, size_t max)
{
    size_t len = strlen(s);

    if (len == 0 || len > max)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

/* "a.b.c": identifiers in any script, as Python has them, with dots between. */
bool name_is_dotted(const char *s)
{
    if (!name_is_clean(s, NAME_BYTES_MAX) || s[0] == '.' || s[strlen(s) - 1] == '.' || strstr(s, ".."))
        return false;
    for (; *s; s++)
        if (!strchr("_.", *s) && (unsigned char)*s < 0x80 && !(*s >= '0' && *s <= '9') &&
            !((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z'))
            return false;
    return true;
}

/* No empty part, no "." and no "..": neither `//` nor a way out of a folder. */
static bool is_normal(const char *s)
{
    for (;;) {
        size_t len = strcspn(s, "/");

        if (len == 0 || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
            return false;
        if (s[len] == '\0')
            return true;
        s += len + 1;
    }
}

bool path_is_absolute(const char *s)
{
    return name_is_clean(s, PATH_BYTES_MAX) && s[0] == '/' && (s[1] == '\0' || is_normal(s + 1));
}

bool path_is_below(const char *s)
{
    return name_is_clean(s, PATH_BYTES_MAX) && s[0] != '/' && is_normal(s);
}

bool reader_members(struct manifest_reader *r, const json_t *object, const char *const *names, size_t count)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return reader_bad(r, "is not an object.");
    json_object_foreach ((json_t *)object, key, value) {
        size_t i = 0;

        while (i < count && strcmp(key, names[i]) != 0)
            i++;
        if (i == count)
            return reader_bad(r, "has an unknown member.");
    }
    return true;
}

bool reader_string(struct manifest_reader *r, const json_t *object, const char *key, const char **ret)
{
    json_t *value = json_object_get(object, key);

    if (value && !json_is_null(value) && !json_is_string(value))
        return reader_bad(r, "\"%s\" is not a string.", key);
    *ret = arena_strdup(&r->m->arena, json_string_value(value));
    return true;
}

bool reader_int(struct manifest_reader *r, const json_t *object, const char *key, int64_t min, int64_t max,
                int64_t absent, int64_t *ret)
{
    json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value)) {
        *ret = absent;
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return reader_bad(r, "\"%s\" is not an integer from %lld to %lld.", key, (long long)min, (long long)max);
    *ret = json_integer_value(value);
    return true;
}

bool reader_bool(struct manifest_reader *r, const json_t *object, const char *key, bool *ret)
{
    json_t *value = json_object_get(object, key);

    if (value && !json_is_null(value) && !json_is_boolean(value))
        return reader_bad(r, "\"%s\" is neither true nor false.", key);
    *ret = json_is_true(value);
    return true;
}

bool reader_list(struct manifest_reader *r, const json_t *object, const char *key, size_t count_max, size_t bytes_max,
                 struct id_list *ret)
{
    json_t *value = json_object_get(object, key);
    size_t count = json_array_size(value);

    if (value && !json_is_null(value) && !json_is_array(value))
        return reader_bad(r, "\"%s\" is not an array.", key);
    if (count > count_max)
        return reader_bad(r, "\"%s\" has %zu elements; at most %zu are allowed.", key, count, count_max);
    ret->items = arena_alloc(&r->m->arena, (count + 1) * sizeof(*ret->items));
    ret->count = count;
    for (size_t i = 0; i < count; i++) {
        const char *item = json_string_value(json_array_get(value, i));

        if (!item)
            return reader_bad(r, "\"%s\" has an element that is not a string.", key);
        if (strlen(item) > bytes_max)
            return reader_bad(r, "\"%s\" has an element of more than %zu bytes.", key, bytes_max);
        ret->items[i] = arena_strdup(&r->m->arena, item);
    }
    return true;
}

bool reader_id(struct manifest_reader *r, const json_t *object, const char *kind, size_t index, const char **ret)
{
    const char *id = json_string_value(json_object_get(object, "id"));

    snprintf(r->where, sizeof(r->where), "%s %zu of the manifest", kind, index + 1);
    if (!json_is_object(object))
        return reader_bad(r, "is not an object.");
    if (!id || !text_is_identifier(span_of(id)))
        return reader_bad(r, "its id must be 1 to %d letters, digits and \"_\" of ASCII, not starting with a digit.",
                          CONFIG_ID_MAX);
    snprintf(r->where, sizeof(r->where), "%s \"%s\"", kind, id);
    *ret = arena_strdup(&r->m->arena, id);
    return true;
}
