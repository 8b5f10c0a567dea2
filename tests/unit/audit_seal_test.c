/* The seal of a chain's end: as audit.h defines it, and what it tells about an end that is another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/audit.h"

struct sealed {
    uint8_t key[AUDIT_KEY_SIZE], seal[AUDIT_SEAL_SIZE];
    struct audit_walk end;
};

static struct sealed make_sealed(void)
{
    struct sealed s = {.end.seq = 7};

    for (size_t i = 0; i < AUDIT_KEY_SIZE; i++)
        s.key[i] = (uint8_t)i;
    memset(s.end.hash, 0xab, AUDIT_HASH_SIZE);
    assert_true(audit_seal(s.key, &s.end, s.seal, NULL));
    return s;
}

/* The value was computed from the definition by another program. */
static void the_seal_is_as_defined(void **state)
{
    struct sealed s = make_sealed();
    char hex[2 * AUDIT_SEAL_SIZE + 1];

    hex_encode(s.seal, sizeof(s.seal), hex);
    assert_string_equal(hex, "82463585eddaea772bce9bc8b6b2f2762691cb36938594eecc530aa5b5f2851d");
}

static void proof_fails(const struct sealed *s, const struct audit_walk *found, const char *words)
{
    struct fault fault = {0};

    assert_false(audit_seal_prove(s->key, &s->end, s->seal, found, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    if (!strstr(fault.message, words))
        fail_msg("%s", fault.message);
}

static void the_sealed_end_is_proved(void **state)
{
    struct sealed s = make_sealed();
    struct audit_walk found = s.end;

    assert_true(audit_seal_prove(s.key, &s.end, s.seal, &found, NULL));
    found.seq = 3;
    proof_fails(&s, &found, "records 4 to 7 are missing");
    found = (struct audit_walk){0};
    proof_fails(&s, &found, "records 1 to 7 are missing");
    found = s.end;
    found.seq = 9;
    proof_fails(&s, &found, "records 8 to 9 stand behind");
    found = s.end;
    found.hash[31] ^= 1;
    proof_fails(&s, &found, "last record, 7, is not the one");
}

static void a_forged_seal(void **state)
{
    const struct sealed good = make_sealed();

    for (size_t i = 0; i < AUDIT_SEAL_SIZE; i++) { /* every byte counts, of each part */
        struct sealed s = good;
        s.seal[i] ^= 0x80;
        proof_fails(&s, &s.end, "forged");
        s = good;
        s.key[i] ^= 1;
        proof_fails(&s, &s.end, "forged");
        s = good;
        s.end.hash[i] ^= 1;
        proof_fails(&s, &s.end, "forged");
    }
    for (int bit = 0; bit < 63; bit++) {
        struct sealed s = good;
        s.end.seq ^= INT64_C(1) << bit;
        proof_fails(&s, &s.end, "forged");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seal_is_as_defined),
        cmocka_unit_test(the_sealed_end_is_proved),
        cmocka_unit_test(a_forged_seal),
    };

    return cmocka_run_group_tests_name("audit_seal", tests, NULL, NULL);
}
