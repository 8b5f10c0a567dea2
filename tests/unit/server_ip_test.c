/* Addresses, ranges, X-Forwarded-For, PROXY headers, tallies: the pure parts. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "server/ip.h"
#include "server/proxy.h"
#include "server/tally.h"

static struct ip ip_of(const char *text)
{
    struct ip ip = {{0}};

    if (!ip_parse(span_of(text), &ip))
        fail_msg("%s", text);
    return ip;
}

static void addresses_have_one_spelling(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:c000:201", "192.0.2.1"},
        {"2001:DB8:0::1", "2001:db8::1"},
        {"::", "::"},
    };
    static const char *const bad[] = {"",
                                      " 192.0.2.1",
                                      "192.0.2.1 ",
                                      "192.0.2",
                                      "192.0.2.256",
                                      "0xc0.0.2.1",
                                      "192.0.2.1:80",
                                      "[::1]",
                                      "fe80::1%eth0",
                                      "::1/128",
                                      "unknown",
                                      "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17"};
    char text[INET6_ADDRSTRLEN];
    struct ip ip;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        ip = ip_of(pairs[i][0]);
        ip_format(&ip, text);
        assert_string_equal(text, pairs[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (ip_parse(span_of(bad[i]), &ip))
            fail_msg("\"%s\" is no address", bad[i]);
}

static void clients_are_grouped(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8:1:2:3::4", "2001:db8:1:2:ffff::9", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip a = ip_of(cases[i].a), b = ip_of(cases[i].b);
        a = ip_prefix(&a);
        b = ip_prefix(&b);
        assert_int_equal(memcmp(&a, &b, sizeof(a)) == 0, cases[i].same);
    }
}

static void ranges_hold_what_they_say(void **state)
{
    static const char *const entries[] = {
        "10.0.0.0/8", "192.0.2.7", "198.51.100.128/25", "2001:db8::/33", "::/96", "::ffff:203.0.113.0/120", "unix"};
    static const char *const in[] = {"10.0.0.0",    "10.255.255.255",   "192.0.2.7", "198.51.100.128", "198.51.100.255",
                                     "2001:db8::1", "2001:db8:7fff::1", "::1",       "203.0.113.9"};
    static const char *const out[] = {"9.255.255.255",  "11.0.0.0",         "192.0.2.6",
                                      "198.51.100.127", "2001:db8:8000::1", "2001:db9::1"};
    static const char *const bad[] = {
        "10.0.0.0/33", "10.0.0.1/8",     "10.0.0.0/",      "10.0.0.0/-1", "10/8", "0.0.0.0/0",
        "::/0",        "2001:db8::/129", "2001:db8::1/64", "localhost",   "",     "*",
        "UNIX",        "10.0.0.0/8 ",    "::ffff:0:0/96",  "::/64",       "::/8"};
    struct trusted_proxies t;
    struct fault fault = {0};

    assert_true(trusted_proxies_read(entries, ARRAY_LEN(entries), &t, &fault));
    assert_true(t.unix_sockets);
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        struct ip ip = ip_of(in[i]);
        if (!trusted_proxies_have(&t, &ip))
            fail_msg("%s is in", in[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        struct ip ip = ip_of(out[i]);
        if (trusted_proxies_have(&t, &ip))
            fail_msg("%s is not in", out[i]);
    }
    trusted_proxies_done(&t);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        fault = (struct fault){0};
        if (trusted_proxies_read(&bad[i], 1, &t, &fault))
            fail_msg("\"%s\" is no range", bad[i]);
        assert_non_null(strstr(fault.message, bad[i]));
    }
}

static void the_rightmost_stranger_is_the_client(void **state)
{
    static const char *const proxies[] = {"10.0.0.0/8", "2001:db8::/32"};
    static const struct {
        const char *values[3];
        const char *client; /* NULL: refused */
    } cases[] = {
        {{"192.0.2.1"}, "192.0.2.1"},
        {{"203.0.113.9, 192.0.2.1, 10.0.0.2, 10.0.0.1"}, "192.0.2.1"},
        {{"203.0.113.9", "192.0.2.1,10.0.0.2", "10.0.0.1"}, "192.0.2.1"},
        {{"\t192.0.2.1 ,\t10.0.0.1 "}, "192.0.2.1"},
        {{"whatever, <script>, 192.0.2.1, 10.0.0.1"}, "192.0.2.1"},
        {{"192.0.2.1:1234"}, "192.0.2.1"},
        {{"[2001:db9::1]"}, "2001:db9::1"},
        {{"[2001:db9::1]:443, 2001:db8::5"}, "2001:db9::1"},
        {{"10.0.0.9, 10.0.0.1"}, "10.0.0.9"},
        {{"::ffff:192.0.2.1"}, "192.0.2.1"},
        {{"192.0.2.1, unknown"}, NULL},
        {{"192.0.2.1, unknown, 10.0.0.1"}, NULL},
        {{"192.0.2.1,,10.0.0.1"}, NULL},
        {{"192.0.2.1,"}, NULL},
        {{","}, NULL},
        {{""}, NULL},
        {{"192.0.2.1:99999"}, NULL},
        {{"192.0.2.1:"}, NULL},
        {{"[192.0.2.1]"}, NULL},
        {{"[2001:db9::1"}, NULL},
        {{"[2001:db9::1]443"}, NULL},
        {{"192.0.2.1 10.0.0.1"}, NULL},
        {{"10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,"
          "10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,"
          "10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1",
          "192.0.2.1"},
         "192.0.2.1"},
        {{"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,192.0.2.1"}, NULL},
    };
    struct trusted_proxies t;
    struct fault fault = {0};

    assert_true(trusted_proxies_read(proxies, ARRAY_LEN(proxies), &t, &fault));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span values[3];
        size_t count = 0;
        struct ip ip = {{0}};
        char text[INET6_ADDRSTRLEN];
        while (count < 3 && cases[i].values[count]) {
            values[count] = span_of(cases[i].values[count]);
            count++;
        }
        bool read = forwarded_client(&t, values, count, &ip);
        ip_format(&ip, text);
        if (read != (cases[i].client != NULL) || (read && strcmp(text, cases[i].client) != 0))
            fail_msg("case %zu (%s): %s", i, cases[i].values[0], read ? text : "refused");
    }
    trusted_proxies_done(&t);
}

/* ---- PROXY ---- */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x01\x0a\x00\x00\x01\x04\xd2\x20\xfb"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x04\xd2\x20\xfb"
#define BYTES(s) (s), sizeof(s) - 1

static void proxy_headers_are_read_strictly(void **state)
{
    static const struct {
        const char *wire;
        size_t size;
        enum proxy_verdict verdict;
        int source;
        const char *ip;
        size_t len;
    } cases[] = {
        {BYTES(SIGNATURE "\x21\x11\0\x0c" V4), PROXY_OK, PROXY_IP, "192.0.2.1", 28},
        {BYTES(SIGNATURE "\x21\x11\0\x0c" V4 "GET"), PROXY_OK, PROXY_IP, "192.0.2.1", 28},
        {BYTES(SIGNATURE "\x21\x11\0\x14" V4 "\x02\0\x05hello"), PROXY_OK, PROXY_IP, "192.0.2.1", 36},
        {BYTES(SIGNATURE "\x21\x11\0\x12" V4 "\x04\0\0\x04\0\0"), PROXY_OK, PROXY_IP, "192.0.2.1", 34},
        {BYTES(SIGNATURE "\x21\x21\0\x24" V6), PROXY_OK, PROXY_IP, "2001:db8::1", 52},
        {BYTES(SIGNATURE "\x20\0\0\0"), PROXY_OK, PROXY_LOCAL, NULL, 16},
        {BYTES(SIGNATURE "\x20\x11\0\x0c" V4), PROXY_OK, PROXY_LOCAL, NULL, 28},
        {BYTES(SIGNATURE "\x20\0\0\x01x"), PROXY_OK, PROXY_LOCAL, NULL, 17},
        {BYTES(SIGNATURE "\x21\x11\0\x0c\xc0"), PROXY_MORE, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x11\0"), PROXY_MORE, 0, NULL, 0},
        {BYTES("\r"), PROXY_MORE, 0, NULL, 0},
        {BYTES("GET / HTTP/1.1\r\n"), PROXY_BAD, 0, NULL, 0},
        {BYTES("\x16\x03\x01"), PROXY_BAD, 0, NULL, 0},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), PROXY_BAD, 0, NULL, 0},
        {BYTES("\r\n\r\n\0\r\nQUIT\r"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x11"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x22"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\0\0\0"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x12\0\x0c" V4), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x41\0\x0c" V4), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x11\0\x0b\xc0"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x21\0\x0c" V4), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x31\0\x0c" V4), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x11\x10\x01"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x11\0\x0e" V4 "\x02\0"), PROXY_BAD, 0, NULL, 0},
        {BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x02\0\x02x"), PROXY_BAD, 0, NULL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header h;
        char text[INET6_ADDRSTRLEN];
        enum proxy_verdict verdict = proxy_read((const uint8_t *)cases[i].wire, cases[i].size, &h);
        if (verdict != cases[i].verdict)
            fail_msg("case %zu: %d", i, verdict);
        if (verdict == PROXY_BAD)
            assert_non_null(h.reason);
        if (verdict != PROXY_OK)
            continue;
        assert_int_equal(h.source, cases[i].source);
        assert_int_equal(h.len, cases[i].len);
        if (cases[i].ip) {
            ip_format(&h.ip, text);
            assert_string_equal(text, cases[i].ip);
        }
    }
}

/* ---- tallies ---- */

static void key_make(uint8_t key[static TALLY_KEY_SIZE], unsigned n)
{
    memset(key, 0, TALLY_KEY_SIZE);
    memcpy(key + 8, &n, sizeof(n));
}

static void each_key_has_its_share(void **state)
{
    enum { KEYS = 5000 }; /* more than there are buckets at first */
    struct tally *t = tally_new(2), *off = tally_new(0);
    uint8_t key[TALLY_KEY_SIZE];

    for (unsigned n = 0; n < KEYS; n++) {
        key_make(key, n);
        assert_true(tally_take(t, key, 1));
        assert_true(tally_take(t, key, 1));
        assert_false(tally_take(t, key, 1));
    }
    assert_int_equal(tally_keys(t), KEYS);
    for (unsigned n = 0; n < KEYS; n++) {
        key_make(key, n);
        tally_give_back(t, key, 1);
        assert_true(tally_take(t, key, 1));
        assert_false(tally_take(t, key, 1));
        tally_give_back(t, key, 1);
        tally_give_back(t, key, 1);
    }
    assert_int_equal(tally_keys(t), 0);
    for (unsigned n = 0; n < 100; n++)
        assert_true(tally_take(off, key, 1));
    tally_give_back(off, key, 1);
    tally_free(t);
    tally_free(off);
    tally_free(NULL);
}

static void a_share_may_be_of_amounts(void **state)
{
    struct tally *t = tally_new(100);
    uint8_t key[TALLY_KEY_SIZE];

    key_make(key, 1);
    assert_true(tally_take(t, key, 60));
    assert_false(tally_take(t, key, 41));
    assert_false(tally_take(t, key, UINT64_MAX));
    assert_true(tally_take(t, key, 40));
    tally_give_back(t, key, 99);
    assert_int_equal(tally_keys(t), 1);
    tally_give_back(t, key, 1);
    assert_int_equal(tally_keys(t), 0);
    assert_false(tally_take(t, key, 101)); /* who has nothing and gets nothing leaves nothing behind */
    assert_int_equal(tally_keys(t), 0);
    tally_free(t);
}

static void *take_and_give_back(void *arg)
{
    uint8_t key[TALLY_KEY_SIZE];

    for (unsigned n = 0; n < 20000; n++) {
        key_make(key, n % 7);
        if (tally_take(arg, key, 1))
            tally_give_back(arg, key, 1);
    }
    return NULL;
}

static void threads_share_a_tally(void **state)
{
    struct tally *t = tally_new(2);
    pthread_t threads[4];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_back, t), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tally_keys(t), 0);
    tally_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_spelling),     cmocka_unit_test(clients_are_grouped),
        cmocka_unit_test(ranges_hold_what_they_say),       cmocka_unit_test(the_rightmost_stranger_is_the_client),
        cmocka_unit_test(proxy_headers_are_read_strictly), cmocka_unit_test(each_key_has_its_share),
        cmocka_unit_test(a_share_may_be_of_amounts),       cmocka_unit_test(threads_share_a_tally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
