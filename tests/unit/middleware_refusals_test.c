/* The ledger of refusals: what of a flood is recorded singly, what is counted, and that the counts come while it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/clock.h"
#include "bailiff/middleware.h"

static int64_t fake_ms;

static int64_t fake_mono_ms(void)
{
    return fake_ms;
}

static struct {
    uint64_t records, refusals, of_many;
    char last_subject[300];
    bool full;
} written;

static bool fake_submit(struct store *store, struct change *change, struct fault *fault)
{
    if (written.full)
        return fault_unavailable(fault, 1, "full");
    written.records++;
    written.refusals += change->audit.count;
    written.of_many += change->audit.address && strcmp(change->audit.address, "many") == 0 ? change->audit.count : 0;
    snprintf(written.last_subject, sizeof(written.last_subject), "%s",
             change->audit.subject ? change->audit.subject : "");
    change_free(change);
    return true;
}

#define clock_mono_ms fake_mono_ms
#define store_submit fake_submit
#include "../src/middleware/refusals.c"

enum { SINGLY = 10 };

struct world {
    struct services services;
    struct exchange x;
    struct identity identity;
};

static struct world *world_new(void)
{
    struct world *w = xcalloc(1, sizeof(*w));

    fake_ms = 1000000;
    memset(&written, 0, sizeof(written));
    w->services.refusals = refusal_ledger_new();
    w->services.limits.refusals_recorded_a_minute = SINGLY;
    w->x.services = &w->services;
    w->x.address = "192.0.2.1";
    return w;
}

static void world_free(struct world *w)
{
    refusal_ledger_free(w->services.refusals);
    free(w);
}

static void flush(struct world *w)
{
    refusal_ledger_flush(w->services.refusals, NULL, false);
}

static void counts_come_while_the_flood_goes_on(void **state)
{
    struct world *w = world_new();
    uint64_t singly = 0, refused = 0;

    for (int ms = 0; ms < 600000;
         ms += 100, fake_ms += 100) { /* ten refusals a second, for ten minutes, without a pause */
        refusal_note(&w->x, "bad token");
        singly += w->x.refused_singly;
        refused++;
        if (ms % 1000 == 500)
            flush(w);
    }
    assert_int_equal(singly, 10 * SINGLY);
    assert_in_range(written.records, 8, 10);
    assert_in_range(refused - singly - written.refusals, 0, 700); /* of the last minute */
    refusal_ledger_flush(w->services.refusals, NULL, true);
    assert_int_equal(singly + written.refusals, refused);
    world_free(w);
}

/* Names that differ in their last byte only are two callers', and stand in the records as they are. */
static void long_names_are_told_apart(void **state)
{
    struct world *w = world_new();
    char issuer[1025], subject[257];

    memset(issuer, 'i', sizeof(issuer) - 1);
    memset(subject, 's', sizeof(subject) - 1);
    issuer[sizeof(issuer) - 1] = subject[sizeof(subject) - 1] = '\0';
    w->identity.issuer = issuer;
    w->identity.subject = subject;
    w->x.identity = &w->identity;
    for (int i = 0; i < SINGLY + 5; i++)
        refusal_note(&w->x, "missing permission");
    assert_false(w->x.refused_singly);
    subject[sizeof(subject) - 2] = 'x';
    refusal_note(&w->x, "missing permission");
    assert_true(w->x.refused_singly);
    issuer[sizeof(issuer) - 2] = 'x';
    refusal_note(&w->x, "missing permission");
    assert_true(w->x.refused_singly);
    refusal_ledger_flush(w->services.refusals, NULL, true);
    assert_int_equal(written.records, 1);
    assert_int_equal(written.refusals, 5);
    subject[sizeof(subject) - 2] = 's';
    assert_string_equal(written.last_subject, subject);
    world_free(w);
}

/* One refusal too many of each of thousands of addresses is not thousands of records. */
static void addresses_do_not_fill_the_disk(void **state)
{
    enum { ADDRESSES = 1500 };
    struct world *w = world_new();
    uint64_t singly = 0, refused = 0;
    char address[64];

    for (int i = 0; i < ADDRESSES; i++) {
        snprintf(address, sizeof(address), "2001:db8:%x::1", i);
        w->x.address = address;
        for (int k = 0; k <= SINGLY; k++, refused++) {
            refusal_note(&w->x, "bad token");
            singly += w->x.refused_singly;
        }
    }
    fake_ms += 61000;
    for (int tick = 0; tick < 70; tick++, fake_ms += 1000)
        flush(w);
    assert_in_range(written.records, 50, 101);
    assert_int_equal(singly + written.refusals, refused); /* and none is lost */
    assert_true(written.of_many > 0);
    world_free(w);
}

static void who_has_a_name_is_named(void **state)
{
    struct world *w = world_new();
    char address[64], name[32], issuer[] = "https://issuer.test";

    w->x.identity = NULL;
    for (int i = 0; i < 500; i++) {
        snprintf(address, sizeof(address), "2001:db8:%x::1", i);
        w->x.address = address;
        for (int k = 0; k <= SINGLY; k++)
            refusal_note(&w->x, "bad token");
    }
    w->x.identity = &w->identity;
    w->identity.issuer = issuer;
    fake_ms += 61000;
    flush(w);
    uint64_t before = written.records;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "subject %d", i);
        w->identity.subject = name;
        for (int k = 0; k <= SINGLY; k++)
            refusal_note(&w->x, "missing permission");
    }
    fake_ms += 61000;
    flush(w);
    assert_in_range(written.records - before, 290, 302);
    world_free(w);
}

static void what_cannot_be_written_stays_counted(void **state)
{
    struct world *w = world_new();

    for (int k = 0; k < 3 * SINGLY; k++)
        refusal_note(&w->x, "bad token");
    written.full = true;
    fake_ms += 61000;
    flush(w);
    assert_int_equal(written.records, 0);
    written.full = false;
    flush(w);
    assert_int_equal(written.records, 1);
    assert_int_equal(written.refusals, 2 * SINGLY);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_come_while_the_flood_goes_on),  cmocka_unit_test(long_names_are_told_apart),
        cmocka_unit_test(addresses_do_not_fill_the_disk),       cmocka_unit_test(who_has_a_name_is_named),
        cmocka_unit_test(what_cannot_be_written_stays_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
