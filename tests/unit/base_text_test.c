/* Growing texts, spans, numbers, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/text.h"

/* ---- text ---- */

static void test_grows_and_stays_terminated(void **state)
{
    own(text_done) struct text t = {0};

    assert_null(t.data);
    for (size_t i = 0; i < 10000; i++) {
        text_append_char(&t, (char)('a' + i % 26));
        assert_int_equal(t.len, i + 1);
        assert_int_equal(t.data[t.len], '\0');
        assert_true(t.cap > t.len);
    }
    for (size_t i = 0; i < t.len; i++)
        assert_int_equal(t.data[i], 'a' + i % 26);
    text_clear(&t);
    assert_int_equal(t.len, 0);
    assert_string_equal(t.data, "");
    text_append_str(&t, "again");
    assert_string_equal(t.data, "again");
}

static void test_all_ways_of_appending(void **state)
{
    own(text_done) struct text t = {0};

    text_append(&t, "a\0b", 3);
    assert_memory_equal(t.data, "a\0b", 4);
    text_clear(&t);
    text_append(&t, NULL, 0);
    text_append_span(&t, (struct span){0});
    assert_string_equal(t.data, "");
    text_append_str(&t, "str ");
    text_append_span(&t, (struct span){"spanner", 4});
    text_printf(&t, " %d %s", 7, "seven");
    assert_string_equal(t.data, "str span 7 seven");
    assert_true(span_is(text_span(&t), "str span 7 seven"));
}

static void test_long_formats(void **state)
{
    own(text_done) struct text t = {0};

    text_printf(&t, "%5000d", 1);
    assert_int_equal(t.len, 5000);
    assert_int_equal(t.data[4999], '1');
    text_printf(&t, "%s", "");
    assert_int_equal(t.len, 5000);
}

static void test_integers(void **state)
{
    static const struct {
        int64_t n;
        const char *text;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {-7, "-7"},
                 {10, "10"},
                 {-100, "-100"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(text_done) struct text t = {0};
        text_append_int(&t, cases[i].n);
        assert_string_equal(t.data, cases[i].text);
    }
}

static void test_taking(void **state)
{
    struct text t = {0};
    own(freep) char *nothing = text_take(&t);

    assert_string_equal(nothing, "");
    text_append_str(&t, "mine");
    own(freep) char *taken = text_take(&t);
    assert_string_equal(taken, "mine");
    assert_null(t.data);
    assert_int_equal(t.len + t.cap, 0);
}

/* ---- spans ---- */

static void test_comparing(void **state)
{
    assert_true(span_eq((struct span){0}, SPAN("")));
    assert_true(span_is((struct span){"abc", 2}, "ab"));
    assert_false(span_is((struct span){"abc", 2}, "abc"));
    assert_false(span_is(SPAN("a\0b"), "a"));
    assert_true(span_ieq(SPAN("Content-TYPE"), SPAN("content-type")));
    assert_false(span_ieq(SPAN("content-typ"), SPAN("content-type")));
    /* only letters fold: '@' and '`', '[' and '{' differ by the same bit */
    assert_false(span_ieq(SPAN("@"), SPAN("`")));
    assert_false(span_ieq(SPAN("["), SPAN("{")));
    assert_false(span_ieq(SPAN("\xc3\x89"), SPAN("\xc3\xa9")));
    assert_int_equal(span_of(NULL).len, 0);
}

static void test_trimming(void **state)
{
    assert_true(span_is(span_trim(SPAN(" \t a b\t ")), "a b"));
    assert_true(span_is(span_trim(SPAN(" \t ")), ""));
    assert_true(span_is(span_trim((struct span){0}), ""));
    assert_true(span_is(span_trim(SPAN("\na\r")), "\na\r")); /* no blanks of HTTP */
}

static void assert_cuts(struct span list, size_t count, const char *const *parts)
{
    struct span part;

    for (size_t i = 0; i < count; i++) {
        assert_true(span_cut(&list, ',', &part));
        if (!span_is(part, parts[i]))
            fail_msg("part %zu is '%.*s', not '%s'", i, (int)part.len, part.data, parts[i]);
    }
    assert_false(span_cut(&list, ',', &part));
    assert_false(span_cut(&list, ',', &part));
}

static void test_cutting(void **state)
{
    assert_cuts(SPAN("a,bc,d"), 3, (const char *const[]){"a", "bc", "d"});
    assert_cuts(SPAN("a"), 1, (const char *const[]){"a"});
    assert_cuts(SPAN(""), 1, (const char *const[]){""});
    assert_cuts(SPAN(",a,,"), 4, (const char *const[]){"", "a", "", ""});
    assert_cuts((struct span){0}, 0, NULL);
}

static void assert_number(const char *s, uint64_t max, bool good, uint64_t expected)
{
    uint64_t n = 4711;

    if (span_to_u64(span_of(s), max, &n) != good)
        fail_msg("'%s' with at most %llu: %s", s, (unsigned long long)max, good ? "refused" : "taken");
    assert_int_equal(n, good ? expected : 4711); /* untouched on failure */
}

static void test_numbers(void **state)
{
    assert_number("0", 10, true, 0);
    assert_number("10", 10, true, 10);
    assert_number("0010", 10, true, 10);
    assert_number("11", 10, false, 0);
    assert_number("18446744073709551615", UINT64_MAX, true, UINT64_MAX);
    assert_number("18446744073709551616", UINT64_MAX, false, 0);
    assert_number("99999999999999999999", UINT64_MAX, false, 0);
    assert_number("100000000000000000000", UINT64_MAX, false, 0);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1e2", "١"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_number(bad[i], UINT64_MAX, false, 0);
}

/* ---- names ---- */

static void test_identifiers(void **state)
{
    char longest[130];

    memset(longest, 'a', sizeof(longest));
    assert_true(text_is_identifier((struct span){longest, 128}));
    assert_false(text_is_identifier((struct span){longest, 129}));
    assert_true(text_is_identifier(SPAN("_")));
    assert_true(text_is_identifier(SPAN("aZ_09")));
    static const char *const bad[] = {"", "0a", "a-b", "a b", "a.b", "é", "a@", "a[", "a`", "a{"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_identifier(span_of(bad[i])));
    assert_false(text_is_identifier(SPAN("a\0b")));
}

static void test_visible_ascii(void **state)
{
    assert_true(text_is_visible_ascii(SPAN("!~azAZ09\"\\")));
    assert_false(text_is_visible_ascii(SPAN("")));
    assert_false(text_is_visible_ascii(SPAN("a b")));
    assert_false(text_is_visible_ascii(SPAN("a\x7f")));
    assert_false(text_is_visible_ascii(SPAN("a\n")));
    assert_false(text_is_visible_ascii(SPAN("a\0")));
    assert_false(text_is_visible_ascii(SPAN("é")));
}

static void test_the_nearest_name(void **state)
{
    static const char *const names[] = {"tasks:read", "tasks:create", "jobs:read"};

    assert_string_equal(text_nearest("task:read", names, ARRAY_LEN(names)), "tasks:read");
    assert_string_equal(text_nearest("TASKS:CREATE", names, ARRAY_LEN(names)), "tasks:create");
    assert_string_equal(text_nearest("job:reed", names, ARRAY_LEN(names)), "jobs:read");
    assert_string_equal(text_nearest("tasks:cre", names, ARRAY_LEN(names)), "tasks:create"); /* not tasks:read */
    assert_null(text_nearest("whatever", names, ARRAY_LEN(names)));
    assert_null(text_nearest("tasks:fly", names, ARRAY_LEN(names)));
    assert_null(text_nearest("tasks:read", names, 0));
    char longest[200];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(text_nearest(longest, names, ARRAY_LEN(names)));
}

/* ---- arena ---- */

static void test_arena_pieces_are_apart_zeroed_and_aligned(void **state)
{
    enum { PIECES = 600 };
    own(arena_done) struct arena a = {0};
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];

    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = i % 50 == 49 ? 9000 + i : i * 7 % 300; /* small ones, and now and then one larger than a block */
        pieces[i] = arena_alloc(&a, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(pieces[i][b], 0);
        memset(pieces[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(pieces[i][b], i % 255 + 1);
    arena_done(&a);
    assert_null(a.blocks);
    assert_non_null(arena_alloc(&a, 1)); /* usable again */
}

static void test_arena_texts(void **state)
{
    own(arena_done) struct arena a = {0};

    assert_null(arena_strdup(&a, NULL));
    assert_string_equal(arena_strdup(&a, ""), "");
    assert_string_equal(arena_strdup(&a, "abc"), "abc");
    assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    assert_string_equal(arena_printf(&a, "%d-%s", 4, "x"), "4-x");
    assert_int_equal(strlen(arena_printf(&a, "%20000d", 4)), 20000);
}

/* Vectors of draft-eastlake-fnv: names on the disk are made of it. */
static void test_hash(void **state)
{
    assert_int_equal(hash_bytes(HASH_BEGIN, "", 0), UINT64_C(0xcbf29ce484222325));
    assert_int_equal(hash_bytes(HASH_BEGIN, "a", 1), UINT64_C(0xaf63dc4c8601ec8c));
    assert_int_equal(hash_bytes(HASH_BEGIN, "foobar", 6), UINT64_C(0x85944171f73967e8));
    assert_int_equal(hash_bytes(hash_bytes(HASH_BEGIN, "foo", 3), "bar", 3), UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_stays_terminated),
        cmocka_unit_test(test_all_ways_of_appending),
        cmocka_unit_test(test_long_formats),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_taking),
        cmocka_unit_test(test_comparing),
        cmocka_unit_test(test_trimming),
        cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_visible_ascii),
        cmocka_unit_test(test_the_nearest_name),
        cmocka_unit_test(test_arena_pieces_are_apart_zeroed_and_aligned),
        cmocka_unit_test(test_arena_texts),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
