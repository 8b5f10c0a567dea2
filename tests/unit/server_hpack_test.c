/* Counting header fields in HPACK, against RFC 7541's own examples and against blocks that are cut or made to mislead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "server/hpack.h"

static size_t count(const char *block, size_t len)
{
    own(freep) uint8_t *copy = xmalloc(len ? len : 1); /* whoever reads behind it is caught by the sanitizer */
    size_t n = 0;

    memcpy(copy, block, len);
    while (!hpack_has_at_most(copy, len, n))
        n++;
    return n;
}
#define COUNT(text) count(text, sizeof(text) - 1)

static void examples_of_the_standard(void **state)
{
    assert_int_equal(COUNT(""), 0);
    assert_int_equal(COUNT("\x40\x0a"
                           "custom-key\x0d"
                           "custom-header"),
                     1);                                               /* C.2.1 */
    assert_int_equal(COUNT("\x04\x0c/sample/path"), 1);                /* C.2.2 */
    assert_int_equal(COUNT("\x10\x08password\x06secret"), 1);          /* C.2.3 */
    assert_int_equal(COUNT("\x82"), 1);                                /* C.2.4 */
    assert_int_equal(COUNT("\x82\x86\x84\x41\x0fwww.example.com"), 4); /* C.3.1 */
    assert_int_equal(COUNT("\x82\x86\x84\xbe\x58\x08no-cache"), 5);    /* C.3.2 */
    assert_int_equal(COUNT("\x82\x87\x85\xbf\x40\x0a"
                           "custom-key\x0c"
                           "custom-value"),
                     5);                                                                                /* C.3.3 */
    assert_int_equal(COUNT("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), 4); /* C.4.1 */
    assert_int_equal(COUNT("\x20\x3f\xe1\x1f\x82"), 1); /* sizes of the table are no fields */
}

static void long_integers(void **state)
{
    static const char index[] = "\xff\x00\xff\x80\x80\x01\x82"; /* 127, then 127 + 16384 */
    char block[5 + 300 + 1] = "\x00\x01"
                              "a\x7f\xad\x01"; /* a value of 300 bytes: 127 + 45 + 128 */

    memset(block + 6, 0x82, sizeof(block) - 6);
    assert_int_equal(count(index, sizeof(index) - 1), 3);
    assert_int_equal(count(block, sizeof(block)), 1); /* what looks like fields is the value */
}

/* What cannot be read ends the count; it is for whoever decodes it to refuse. */
static void malformed_blocks_end_the_count(void **state)
{
    assert_int_equal(COUNT("\x82\xff\xff\xff\xff\xff\xff\xff\xff\x82\x82"), 2);
    assert_int_equal(COUNT("\x82\xff"), 2);
    assert_int_equal(COUNT("\x82\x40"), 2);
    assert_int_equal(COUNT("\x82\x40\x05"
                           "ab"),
                     2);
    assert_int_equal(COUNT("\x82\x41\x7f\xff\xff\xff\xff\x0f\x82\x82"), 2);
    assert_int_equal(COUNT("\x3f"), 0);
}

static void a_bomb_is_seen_early(void **state)
{
    enum { SIZE = 16384 };
    own(freep) uint8_t *bomb = xmalloc(SIZE);

    memset(bomb, 0xbe, SIZE);
    assert_false(hpack_has_at_most(bomb, SIZE, 100));
    assert_true(hpack_has_at_most(bomb, 100, 100));
    assert_false(hpack_has_at_most(bomb, 101, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(long_integers),
        cmocka_unit_test(malformed_blocks_end_the_count),
        cmocka_unit_test(a_bomb_is_seen_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
