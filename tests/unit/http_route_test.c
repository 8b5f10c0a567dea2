#include "http_kit.h"

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
    {POST, "/api/v1/jobs/cancel/{id}/", JOBS_CANCEL, 0, handler},
    {GET, "/api/v1/jobs/{id}/log/", JOBS_READ, 0, handler},
    {GET, "/deep/{a}/{b}/{c}/{d}/", PERM_ANY, 0, handler},
};
static const struct route_table TABLE = {ROUTES, ARRAY_LEN(ROUTES)};

struct found {
    enum route_match match;
    const struct route *route;
    struct route_param params[ROUTE_PARAMS_MAX];
    unsigned allow;
    struct arena arena;
};

static void find_span(struct found *f, enum method method, struct span path)
{
    arena_done(&f->arena);
    *f = (struct found){0};
    f->match = route_find(&TABLE, method, path, &f->arena, &f->route, f->params, &f->allow);
}

static void find(struct found *f, enum method method, const char *path)
{
    find_span(f, method, span_of(path));
}

static void test_every_row_is_found_with_and_without_its_slash(void **state)
{
    static const struct {
        enum method method;
        const char *path;
        size_t row;
    } cases[] = {
        {GET, "/", 0},
        {GET, "/livez", 1},
        {GET, "/livez/", 1},
        {GET, "/api/v1/tasks", 2},
        {GET, "/api/v1/tasks/", 2},
        {POST, "/api/v1/tasks/", 3},
        {GET, "/api/v1/tasks/T", 4},
        {GET, "/api/v1/tasks/T/", 4},
        {GET, "/api/v1/tasks/submit/", 4}, /* a task may be named so; it cannot exist */
        {DELETE, "/api/v1/tasks/T/", 5},
        {POST, "/api/v1/tasks/submit/T", 6},
        {POST, "/api/v1/jobs/cancel/log/", 7},
        {GET, "/api/v1/jobs/cancel/log/", 8},
        {HEAD, "/api/v1/tasks/T/", 4},
    };
    struct found f = {0};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        find(&f, cases[i].method, cases[i].path);
        assert_int_equal(f.match, ROUTE_FOUND);
        assert_ptr_equal(f.route, &ROUTES[cases[i].row]);
    }
    arena_done(&f.arena);
}

static void test_parameters_are_copied_as_they_stand(void **state)
{
    struct found f = {0};

    find(&f, GET, "/api/v1/tasks/TASK_a_1~{x}/");
    assert_string_equal(f.params[0].name, "id");
    assert_string_equal(f.params[0].value, "TASK_a_1~{x}");
    assert_null(f.params[1].name);
    find(&f, GET, "/deep/1/2/3/4");
    static const char *const names[] = {"a", "b", "c", "d"}, *const values[] = {"1", "2", "3", "4"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(f.params[i].name, names[i]);
        assert_string_equal(f.params[i].value, values[i]);
    }
    arena_done(&f.arena);
}

static void test_only_one_spelling_is_known(void **state)
{
    static const char *const paths[] = {
        "",
        "livez",
        "//",
        "//livez",
        "/livez//",
        "/./livez",
        "/livez/.",
        "/livez/..",
        "/../livez",
        "/.",
        "/LIVEZ",
        "/live",
        "/livezz",
        "/livez/x",
        "/api/v1/tasks//",
        "/api/v1/tasks/%54/",
        "/api/v1/tasks/a%2fb/",
        "/api/v1/tasks/a b/",
        "/api/v1/tasks/a\tb/",
        "/api/v1/tasks/\x7f/",
        "/api/v1/tasks/\xc3\xa9/",
        "/api/v1/tasks/T/x/",
        "/api/v1//tasks/",
        "/api/v1/tasks/../tasks/",
        "/api/v1/tasks/submit/a/b/",
        "*",
        "https://localhost/livez",
    };
    struct found f = {0};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        find(&f, GET, paths[i]);
        assert_int_equal(f.match, ROUTE_UNKNOWN_PATH);
        assert_int_equal(f.allow, 0);
        assert_null(f.route);
    }
    find_span(&f, GET, (struct span){"/livez\0", 7});
    assert_int_equal(f.match, ROUTE_UNKNOWN_PATH);
    /* dots are only special alone */
    find(&f, GET, "/api/v1/tasks/.../");
    assert_int_equal(f.match, ROUTE_FOUND);
    arena_done(&f.arena);
}

static void test_a_path_has_a_longest_length(void **state)
{
    char path[ROUTE_PATH_MAX + 2];
    struct found f = {0};

    memset(path, 'a', sizeof(path));
    memcpy(path, "/api/v1/tasks/", 14);
    find_span(&f, GET, (struct span){path, ROUTE_PATH_MAX});
    assert_int_equal(f.match, ROUTE_FOUND);
    find_span(&f, GET, (struct span){path, ROUTE_PATH_MAX + 1});
    assert_int_equal(f.match, ROUTE_UNKNOWN_PATH);
    arena_done(&f.arena);
}

static void assert_allow(unsigned allow, const char *expected)
{
    struct text text = {0};

    route_allow_text(allow, &text);
    assert_string_equal(text.data, expected);
    text_done(&text);
}

static void test_allow_names_the_methods_of_all_rows_that_fit(void **state)
{
    struct found f = {0};

    find(&f, PUT, "/api/v1/tasks/T/");
    assert_int_equal(f.match, ROUTE_WRONG_METHOD);
    assert_null(f.route);
    assert_allow(f.allow, "GET, HEAD, DELETE, OPTIONS");
    find(&f, HEAD, "/api/v1/tasks/submit/T/");
    assert_int_equal(f.match, ROUTE_WRONG_METHOD);
    assert_allow(f.allow, "POST, OPTIONS");
    find(&f, OPTIONS, "/api/v1/tasks/");
    assert_int_equal(f.match, ROUTE_WRONG_METHOD);
    assert_allow(f.allow, "GET, HEAD, POST, OPTIONS");
    find(&f, METHOD_OTHER, "/livez");
    assert_int_equal(f.match, ROUTE_WRONG_METHOD);
    find(&f, GET, "/api/v1/tasks/");
    assert_allow(f.allow, "GET, HEAD, POST, OPTIONS");
    arena_done(&f.arena);
}

static void test_a_row_with_too_many_parameters_is_never_found(void **state)
{
    static const struct route rows[] = {{GET, "/{a}/{b}/{c}/{d}/{e}/", PERM_ANY, 0, handler}};
    const struct route_table table = {rows, 1};
    struct found f = {0};

    assert_int_equal(route_find(&table, GET, SPAN("/1/2/3/4/5/"), &f.arena, &f.route, f.params, &f.allow),
                     ROUTE_UNKNOWN_PATH);
    arena_done(&f.arena);
}

/* ---- the rows that stand in no table, through the chain ---- */

static void answered(struct exchange *x)
{
    ++*(int *)x->server_data;
}

static void run(struct exchange *x, enum method method, const char *path, int *answers)
{
    static const struct chain chain = {.routes = {ROUTES, ARRAY_LEN(ROUTES)}};

    *x = (struct exchange){.chain = &chain, .method = method, .path = span_of(path), .answer = answered};
    x->server_data = answers;
    chain_start(x);
}

static void test_built_in_rows_answer(void **state)
{
    struct exchange x;
    int answers = 0;

    run(&x, GET, "/nowhere", &answers);
    assert_int_equal(x.response.status, 404);
    assert_true(route_is_builtin(x.route));
    assert_int_equal(x.route->needs, PERM_ANY);
    assert_string_equal(x.fault.message, "Path: /nowhere does not exist.");
    chain_finish(&x);

    run(&x, GET, "/no\nwhere", &answers);
    assert_int_equal(x.response.status, 404);
    assert_string_equal(x.fault.message, "This path does not exist.");
    chain_finish(&x);

    run(&x, PATCH, "/api/v1/tasks/", &answers);
    assert_int_equal(x.response.status, 405);
    assert_true(route_is_builtin(x.route));
    assert_int_equal(x.route->needs, PERM_ANY);
    assert_string_equal(kit_response_header(&x, "Allow"), "GET, HEAD, POST, OPTIONS");
    chain_finish(&x);

    run(&x, METHOD_OTHER, "/api/v1/tasks/", &answers);
    assert_int_equal(x.response.status, 405);
    chain_finish(&x);

    run(&x, OPTIONS, "/api/v1/tasks/T", &answers);
    assert_int_equal(x.response.status, 204);
    assert_true(route_is_builtin(x.route));
    assert_int_equal(x.route->needs, PERM_ANY);
    assert_string_equal(kit_response_header(&x, "Allow"), "GET, HEAD, DELETE, OPTIONS");
    assert_int_equal(x.response.body.len, 0);
    chain_finish(&x);

    run(&x, OPTIONS, "/nowhere", &answers);
    assert_int_equal(x.response.status, 404);
    chain_finish(&x);

    run(&x, HEAD, "/livez", &answers);
    assert_int_equal(x.response.status, 200);
    assert_false(route_is_builtin(x.route));
    chain_finish(&x);
    assert_int_equal(answers, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_found_with_and_without_its_slash),
        cmocka_unit_test(test_parameters_are_copied_as_they_stand),
        cmocka_unit_test(test_only_one_spelling_is_known),
        cmocka_unit_test(test_a_path_has_a_longest_length),
        cmocka_unit_test(test_allow_names_the_methods_of_all_rows_that_fit),
        cmocka_unit_test(test_a_row_with_too_many_parameters_is_never_found),
        cmocka_unit_test(test_built_in_rows_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
