/* The query: known parameters, each once, decoded. */
#include "bailiff/http.h"

/* Undoes percent-encoding and "+". NULL if it is malformed, no UTF-8, or holds a control character. */
static const char *decode(struct span raw, struct arena *arena)
{
    char *out = arena_alloc(arena, raw.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.data[i];
        if (c <= 0x20 || c >= 0x7f) /* nobody may send it as it stands */
            return NULL;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (raw.len - i < 3 || !hex_decode((struct span){raw.data + i + 1, 2}, &c, 1) || c < 0x20 || c == 0x7f)
                return NULL;
            i += 2;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return utf8_valid(out, len) ? out : NULL;
}

static bool fault_unknown(const char *name, const struct query_param *params, size_t count, struct fault *fault)
{
    const char *names[QUERY_PARAMS_MAX];
    const char *near;
    own(text_done) struct text known = {0};
    /* only names that can be read safely are echoed */
    const char *shown = text_is_visible_ascii(span_of(name)) && strlen(name) <= 64 ? name : "(unreadable)";

    for (size_t i = 0; i < count; i++) {
        names[i] = params[i].name;
        text_printf(&known, "%s%s", i > 0 ? ", " : "", params[i].name);
    }
    if (count == 0)
        return fault_set(fault, FAULT_INVALID, "Unknown query parameter: %s. This request takes none.", shown);
    if ((near = text_nearest(shown, names, count)))
        return fault_set(fault, FAULT_INVALID, "Unknown query parameter: %s. Did you mean %s?", shown, near);
    return fault_set(fault, FAULT_INVALID, "Unknown query parameter: %s. This request takes %s.", shown, known.data);
}

static bool read_pair(struct exchange *x, struct span pair, unsigned number, const struct query_param *params,
                      const char **values, size_t count, struct fault *fault)
{
    const char *equals = pair.len > 0 ? memchr(pair.data, '=', pair.len) : NULL;
    size_t name_len = equals ? (size_t)(equals - pair.data) : pair.len;
    struct span raw_value = equals ? (struct span){equals + 1, pair.len - name_len - 1} : (struct span){"", 0};
    size_t i;

    if (name_len == 0)
        return fault_set(fault, FAULT_INVALID, "Query parameter number %u has no name.", number);
    const char *name = decode((struct span){pair.data, name_len}, &x->arena);
    if (!name)
        return fault_set(
            fault, FAULT_INVALID,
            "The name of query parameter number %u is not percent-encoded UTF-8 without control characters.", number);
    for (i = 0; i < count && strcmp(params[i].name, name) != 0; i++)
        ;
    if (i == count)
        return fault_unknown(name, params, count, fault);
    if (values[i])
        return fault_set(fault, FAULT_INVALID, "Query parameter %s stands twice; give it once.", name);
    values[i] = decode(raw_value, &x->arena);
    if (!values[i])
        return fault_set(fault, FAULT_INVALID,
                         "The value of query parameter %s is not percent-encoded UTF-8 without control characters.",
                         name);
    return true;
}

bool exchange_query(struct exchange *x, struct query_param *params, size_t count, struct fault *fault)
{
    const char *values[QUERY_PARAMS_MAX] = {NULL};
    struct span rest = x->query.len > 0 ? x->query : (struct span){0};
    struct span pair;

    if (count > QUERY_PARAMS_MAX)
        return fault_internal(fault, "%zu query parameters in a table of at most %d", count, QUERY_PARAMS_MAX);
    for (unsigned number = 1; span_cut(&rest, '&', &pair); number++)
        if (!read_pair(x, pair, number, params, values, count, fault))
            return false;
    for (size_t i = 0; i < count; i++)
        params[i].value = values[i];
    return true;
}
