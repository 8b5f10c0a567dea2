/* Hex, base64url, UTF-8: one spelling for every byte string, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/random.h"
#include "bailiff/text.h"

static void test_hex(void **state)
{
    const uint8_t bytes[] = {0x00, 0x7f, 0xa0, 0xff};
    uint8_t back[4];
    char out[9];

    hex_encode(bytes, sizeof(bytes), out);
    assert_string_equal(out, "007fa0ff");
    assert_true(hex_decode(SPAN("007fA0fF"), back, 4));
    assert_memory_equal(back, bytes, 4);
    assert_false(hex_decode(SPAN("007fa0f"), back, 4));
    assert_false(hex_decode(SPAN("007fa0ff0"), back, 4));
    assert_false(hex_decode(SPAN("007fa0fg"), back, 4));
    assert_false(hex_decode(SPAN("007fa0f "), back, 4));
    assert_true(hex_decode(SPAN(""), back, 0));
}

/* RFC 4648 §10, without padding */
static void test_base64url_vectors(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        own(text_done) struct text t = {0};
        uint8_t out[16];
        size_t len = 99;
        text_append_str(&t, "");
        base64url_encode((const uint8_t *)pairs[i][0], strlen(pairs[i][0]), &t);
        assert_string_equal(t.data, pairs[i][1]);
        assert_true(base64url_decode(text_span(&t), out, sizeof(out), &len));
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_memory_equal(out, pairs[i][0], len);
    }
}

static void test_base64url_round_trips(void **state)
{
    uint8_t data[97], back[97];

    for (size_t len = 0; len <= sizeof(data); len++) {
        own(text_done) struct text t = {0};
        size_t back_len = 0;
        random_bytes(data, len);
        base64url_encode(data, len, &t);
        assert_int_equal(t.len, (len * 4 + 2) / 3);
        assert_true(base64url_decode(text_span(&t), back, sizeof(back), &back_len));
        assert_int_equal(back_len, len);
        assert_memory_equal(back, data, len);
    }
}

static void assert_not_base64url(struct span s)
{
    uint8_t out[64];
    size_t len = 4711;

    if (base64url_decode(s, out, sizeof(out), &len))
        fail_msg("'%.*s' was taken", (int)s.len, s.data);
    assert_int_equal(len, 4711);
}

static void test_base64url_is_strict(void **state)
{
    assert_not_base64url(SPAN("Z")); /* one character is no byte */
    assert_not_base64url(SPAN("Zm9vY"));
    assert_not_base64url(SPAN("Zg==")); /* padding */
    assert_not_base64url(SPAN("Zm8="));
    assert_not_base64url(SPAN("Zm+v")); /* the other alphabet */
    assert_not_base64url(SPAN("Zm/v"));
    assert_not_base64url(SPAN("Zm 9v"));
    assert_not_base64url(SPAN("Zm9v\n"));
    assert_not_base64url(SPAN("Zm9\0"));
    assert_not_base64url(SPAN("Zm9\xff"));
    assert_not_base64url(SPAN("Zm9\x80"));
}

/* A byte string has one spelling: of all last characters, only those with zero in the unused bits are taken. */
static void test_base64url_unused_bits(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t out[8];
    size_t len;

    for (size_t i = 0; i < 64; i++) {
        char two[2] = {'Z', alphabet[i]}, three[3] = {'Z', 'm', alphabet[i]};
        assert_int_equal(base64url_decode((struct span){two, 2}, out, sizeof(out), &len), i % 16 == 0);
        assert_int_equal(base64url_decode((struct span){three, 3}, out, sizeof(out), &len), i % 4 == 0);
    }
}

static void test_base64url_fits_or_fails(void **state)
{
    uint8_t out[6];
    size_t len = 0;

    assert_true(base64url_decode(SPAN("Zm9vYmFy"), out, 6, &len));
    assert_false(base64url_decode(SPAN("Zm9vYmFy"), out, 5, &len));
    assert_false(base64url_decode(SPAN("Zg"), out, 0, &len));
    assert_true(base64url_decode(SPAN(""), out, 0, &len));
    assert_int_equal(len, 0);
}

static void test_utf8(void **state)
{
    static const struct {
        const char *bytes;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain", true},
        {"é€😀", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false}, /* continuation alone */
        {"\xbf", false},
        {"\xc0\x80", false}, /* overlong */
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xed\xa0\x80", false}, /* surrogates */
        {"\xed\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xc3", false}, /* torn */
        {"\xe2\x82", false},
        {"\xf0\x9f\x98", false},
        {"\xe2\x28\xa1", false},
        {"a\xc3", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (utf8_valid(cases[i].bytes, strlen(cases[i].bytes)) != cases[i].valid)
            fail_msg("case %zu is not as it should be", i);
    assert_true(utf8_valid("a\0b", 3)); /* NUL is a character; whether it is wanted is for others to say */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64url_vectors),
        cmocka_unit_test(test_base64url_round_trips),
        cmocka_unit_test(test_base64url_is_strict),
        cmocka_unit_test(test_base64url_unused_bits),
        cmocka_unit_test(test_base64url_fits_or_fails),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
