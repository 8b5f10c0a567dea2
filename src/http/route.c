/* The route table: paths are matched as they were sent, byte by byte. Two spellings of one path would let one of them slip past
 * whatever stands in front of the server, so only one is known. */
#include "http/parts.h"

/* "/" and segments of visible ASCII without "%", none of them empty, "." or ".."; one slash at the end is fine. */
static bool path_is_normal(struct span path)
{
    size_t start = 1; /* of the segment that is being read */

    if (path.len == 0 || path.len > ROUTE_PATH_MAX || path.data[0] != '/')
        return false;
    for (size_t i = 1; i <= path.len; i++) {
        static const bool plain[256] = {['!' ... '$'] = true, ['&' ... '~'] = true};
        if (i < path.len && path.data[i] != '/') {
            if (!plain[(unsigned char)path.data[i]])
                return false;
            continue;
        }
        struct span segment = {path.data + start, i - start};
        if ((segment.len == 0 && i < path.len) || span_eq(segment, SPAN(".")) || span_eq(segment, SPAN("..")))
            return false;
        start = i + 1;
    }
    return true;
}

/* Does a path, its last slash taken off, fit a row? Leaves in values what stood for each "{name}". */
static bool row_fits(const char *row, struct span path, struct span values[static ROUTE_PARAMS_MAX])
{
    const char *at = path.data, *end = path.data + path.len;
    size_t count = 0;

    while (*row && at < end) {
        if (*row != '{') {
            if (*row++ != *at++)
                return false;
            continue;
        }
        const char *start = at;
        while (at < end && *at != '/')
            at++;
        if (at == start || count == ROUTE_PARAMS_MAX)
            return false;
        values[count++] = (struct span){start, (size_t)(at - start)};
        row = strchrnul(row, '}');
        row += *row == '}';
    }
    return at == end && (row[0] == '\0' || (row[0] == '/' && row[1] == '\0'));
}

static void params_fill(const char *row, const struct span values[static ROUTE_PARAMS_MAX], struct arena *arena,
                        struct route_param params[static ROUTE_PARAMS_MAX])
{
    const char *open;

    memset(params, 0, ROUTE_PARAMS_MAX * sizeof(params[0]));
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && (open = strchr(row, '{')); i++) {
        row = strchrnul(open, '}');
        params[i].name = arena_strndup(arena, open + 1, (size_t)(row - open - 1));
        params[i].value = arena_strndup(arena, values[i].data, values[i].len);
    }
}

enum route_match route_find(const struct route_table *table, enum method method, struct span path, struct arena *arena,
                            const struct route **ret_route, struct route_param ret_params[static ROUTE_PARAMS_MAX],
                            unsigned *ret_allow)
{
    const enum method looked_for = method == HEAD ? GET : method;
    const struct route *found = NULL;
    struct span found_values[ROUTE_PARAMS_MAX];
    unsigned allow = 0;

    if (!path_is_normal(path))
        return ROUTE_UNKNOWN_PATH;
    path.len -= path.data[path.len - 1] == '/';
    /* The whole table is walked, because Allow names the methods of all rows that fit. Some twenty rows take less time than an
     * index would take code. */
    for (const struct route *row = table->routes; row < table->routes + table->count; row++) {
        struct span values[ROUTE_PARAMS_MAX];
        if (!row_fits(row->path, path, values))
            continue;
        allow |= 1u << row->method;
        if (!found && row->method == looked_for) {
            found = row;
            memcpy(found_values, values, sizeof(values));
        }
    }
    if (!allow)
        return ROUTE_UNKNOWN_PATH;
    if (allow & 1u << GET)
        allow |= 1u << HEAD;
    *ret_allow = allow | 1u << OPTIONS;
    if (!found || method == METHOD_OTHER)
        return ROUTE_WRONG_METHOD;
    params_fill(found->path, found_values, arena, ret_params);
    *ret_route = found;
    return ROUTE_FOUND;
}

void route_allow_text(unsigned allow, struct text *out)
{
    const char *comma = "";

    for (unsigned m = 0; m < METHOD_OTHER; m++) {
        if (allow & 1u << m) {
            text_append_str(out, comma);
            text_append_str(out, method_name((enum method)m));
            comma = ", ";
        }
    }
}

/* ---- rows that stand in no table ---- */

static enum flow answer_unknown_path(struct exchange *x)
{
    struct fault fault = {0};

    if (text_is_visible_ascii(x->path) && x->path.len <= 200)
        fault_set(&fault, FAULT_NOT_FOUND, "Path: %.*s does not exist.", (int)x->path.len, x->path.data);
    else
        fault_set(&fault, FAULT_NOT_FOUND, "This path does not exist.");
    return exchange_fail(x, &fault);
}

static enum flow answer_wrong_method(struct exchange *x)
{
    own(text_done) struct text allow = {0};
    struct fault fault = {0};

    route_allow_text(x->allow, &allow);
    fault_set(&fault, FAULT_METHOD, "This path has no such method; it has %s.", allow.data);
    return exchange_fail(x, &fault);
}

static enum flow answer_options(struct exchange *x)
{
    own(text_done) struct text allow = {0};

    route_allow_text(x->allow, &allow);
    exchange_set_header(x, "Allow", allow.data);
    return exchange_answer(x, 204);
}

static const struct route UNKNOWN_PATH = {METHOD_OTHER, "(unknown path)", PERM_ANY, SIZE_MAX, answer_unknown_path};
static const struct route WRONG_METHOD = {METHOD_OTHER, "(wrong method)", PERM_ANY, SIZE_MAX, answer_wrong_method};
static const struct route ANY_OPTIONS = {OPTIONS, "(options)", PERM_ANY, SIZE_MAX, answer_options};

bool route_is_builtin(const struct route *route)
{
    return route == &UNKNOWN_PATH || route == &WRONG_METHOD || route == &ANY_OPTIONS;
}

const struct route *route_pick(struct exchange *x)
{
    const struct route *route = NULL;

    switch (route_find(&x->chain->routes, x->method, x->path, &x->arena, &route, x->params, &x->allow)) {
    case ROUTE_FOUND:
        return route;
    case ROUTE_WRONG_METHOD:
        return x->method == OPTIONS ? &ANY_OPTIONS : &WRONG_METHOD;
    case ROUTE_UNKNOWN_PATH:
        break;
    }
    return &UNKNOWN_PATH;
}
