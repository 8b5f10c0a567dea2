#include "http_kit.h"

static void assert_hex(const uint8_t digest[static 32], const char *expected)
{
    char hex[65];

    hex_encode(digest, 32, hex);
    assert_string_equal(hex, expected);
}

static void test_sha256(void **state)
{
    uint8_t out[32];

    digest_sha256("abc", 3, out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256(NULL, 0, out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void digest_three(struct span a, struct span b, struct span c, uint8_t out[static 32])
{
    struct digest *d = digest_new();

    digest_add(d, a);
    digest_add(d, b);
    digest_add(d, c);
    digest_end(d, out);
}

static void test_pieces_cannot_run_into_each_other(void **state)
{
    uint8_t one[32], other[32];

    digest_three(SPAN("ab"), (struct span){0}, SPAN("c"), one);
    assert_hex(one, "9c24d27974bb3b173e762a999df89274e93d1e37cba113b996aa47139a011d4a");
    digest_three(SPAN("a"), SPAN("b"), SPAN("c"), other);
    assert_memory_not_equal(one, other, 32);
    digest_three(SPAN("ab"), SPAN("c"), (struct span){0}, other);
    assert_memory_not_equal(one, other, 32);
}

/* ---- cursors ---- */

struct fixture {
    uint8_t secret[32], binding[32];
    struct text cursor;
};

static struct fixture fixture_new(void)
{
    struct fixture f = {0};

    for (unsigned i = 0; i < 32; i++) {
        f.secret[i] = (uint8_t)i;
        f.binding[i] = (uint8_t)(100 + i);
    }
    cursor_seal(f.secret, "position", 8, f.binding, &f.cursor);
    return f;
}

static void test_a_cursor_comes_back(void **state)
{
    struct fixture f = fixture_new();
    char position[8];
    struct fault fault = {0};

    assert_string_equal(f.cursor.data, "AXBvc2l0aW9uZEtre1WP8KIvXnfw2pzREA");
    assert_true(cursor_open(f.secret, text_span(&f.cursor), f.binding, position, 8, &fault));
    assert_memory_equal(position, "position", 8);
    text_done(&f.cursor);
}

static void refuse(struct fixture *f, struct span cursor, size_t len)
{
    char position[16] = "untouched";
    struct fault fault = {0};

    assert_false(cursor_open(f->secret, cursor, f->binding, position, len, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_non_null(strstr(fault.message, "cursor"));
    assert_string_equal(position, "untouched");
}

static void test_any_changed_character_is_refused(void **state)
{
    struct fixture f = fixture_new();

    for (size_t i = 0; i < f.cursor.len; i++) {
        char c = f.cursor.data[i];
        f.cursor.data[i] = c == 'A' ? 'B' : 'A';
        refuse(&f, text_span(&f.cursor), 8);
        f.cursor.data[i] = '=';
        refuse(&f, text_span(&f.cursor), 8);
        f.cursor.data[i] = c;
        refuse(&f, (struct span){f.cursor.data, i}, 8);
    }
    text_append_char(&f.cursor, 'A');
    refuse(&f, text_span(&f.cursor), 8);
    refuse(&f, (struct span){0}, 8);
    refuse(&f, SPAN("*"), 8);
    text_done(&f.cursor);
}

static void test_a_cursor_is_bound(void **state)
{
    struct fixture f = fixture_new();

    refuse(&f, text_span(&f.cursor), 7);
    refuse(&f, text_span(&f.cursor), 9);
    f.binding[31] ^= 1;
    refuse(&f, text_span(&f.cursor), 8);
    f.binding[31] ^= 1;
    f.secret[0] ^= 1;
    refuse(&f, text_span(&f.cursor), 8);
    text_done(&f.cursor);
}

static void test_another_version_is_refused(void **state)
{
    struct fixture f = fixture_new();
    uint8_t bytes[64];
    size_t len;

    assert_true(base64url_decode(text_span(&f.cursor), bytes, sizeof(bytes), &len));
    bytes[0] = 2;
    text_clear(&f.cursor);
    base64url_encode(bytes, len, &f.cursor);
    refuse(&f, text_span(&f.cursor), 8);
    text_done(&f.cursor);
}

static void test_the_longest_position(void **state)
{
    struct fixture f = fixture_new();
    uint8_t in[CURSOR_POSITION_MAX], out[CURSOR_POSITION_MAX];
    struct fault fault = {0};

    memset(in, 7, sizeof(in));
    text_clear(&f.cursor);
    cursor_seal(f.secret, in, sizeof(in), f.binding, &f.cursor);
    assert_true(cursor_open(f.secret, text_span(&f.cursor), f.binding, out, sizeof(out), &fault));
    assert_memory_equal(in, out, sizeof(in));
    text_append_str(&f.cursor, "AAAA");
    assert_false(cursor_open(f.secret, text_span(&f.cursor), f.binding, out, sizeof(out), &fault));
    text_done(&f.cursor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_pieces_cannot_run_into_each_other),
        cmocka_unit_test(test_a_cursor_comes_back),
        cmocka_unit_test(test_any_changed_character_is_refused),
        cmocka_unit_test(test_a_cursor_is_bound),
        cmocka_unit_test(test_another_version_is_refused),
        cmocka_unit_test(test_the_longest_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
