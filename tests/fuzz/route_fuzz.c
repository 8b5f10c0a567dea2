/* Paths: "<method> <path>". Whatever is found has only parameters that stand in the path as they are. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum flow handler(struct exchange *x)
{
    return exchange_answer(x, 200);
}

static const struct route ROUTES[] = {
    {GET, "/", PERM_PUBLIC, 0, handler},
    {GET, "/livez", PERM_PUBLIC, 0, handler},
    {GET, "/api/v1/tasks/", TASKS_READ, 0, handler},
    {POST, "/api/v1/tasks/", TASKS_CREATE, 0, handler},
    {GET, "/api/v1/tasks/{id}/", TASKS_READ, 0, handler},
    {DELETE, "/api/v1/tasks/{id}/", TASKS_DELETE, 0, handler},
    {POST, "/api/v1/tasks/submit/{id}/", TASKS_SUBMIT, 0, handler},
    {GET, "/api/v1/jobs/{id}/log/", JOBS_READ, 0, handler},
    {PUT, "/{a}/{b}/{c}/{d}/", PERM_ANY, 0, handler},
    {PATCH, "/{a}/{b}/{c}/{d}/{e}/", PERM_ANY, 0, handler}, /* one too many */
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct route_table table = {ROUTES, ARRAY_LEN(ROUTES)};
    struct span rest = {(const char *)data, size}, word;
    struct arena arena = {0};
    const struct route *route = NULL;
    struct route_param params[ROUTE_PARAMS_MAX];
    unsigned allow = 0;

    if (size == 0 || !span_cut(&rest, ' ', &word))
        return 0;
    enum method method = method_parse(word);
    enum route_match match = route_find(&table, method, rest, &arena, &route, params, &allow);
    require((match == ROUTE_FOUND) == (route != NULL));
    require((match == ROUTE_UNKNOWN_PATH) == (allow == 0));
    require(!(allow & 1u << PATCH) && !(allow & 1u << METHOD_OTHER));
    if (match != ROUTE_UNKNOWN_PATH)
        require(rest.len <= ROUTE_PATH_MAX && text_is_visible_ascii(rest) && !memchr(rest.data, '%', rest.len) &&
                !memmem(rest.data, rest.len, "//", 2) && !memmem(rest.data, rest.len, "/../", 4));
    for (size_t i = 0; match == ROUTE_FOUND && i < ROUTE_PARAMS_MAX && params[i].name; i++)
        require(params[i].value[0] && !strchr(params[i].value, '/') &&
                memmem(rest.data, rest.len, params[i].value, strlen(params[i].value)));
    arena_done(&arena);
    return 0;
}
