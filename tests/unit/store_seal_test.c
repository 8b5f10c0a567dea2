/* The sealed end of the audit log: whoever cuts it off, empties it, lengthens it or computes it anew is found out, at the start of a
 * server and by a verification. */
#include <stdatomic.h>

#include "unit/store_fixture.h"

static bool write_record(struct fixture *f, const char *subject)
{
    struct change *change = change_new();
    bool ok;

    change->class = CHANGE_JOB;
    change->audited = true;
    change->audit = (struct audit_draft){.action = "test", .subject = subject};
    ok = store_submit_wait(f->store, change, &f->fault);
    change_free(change);
    return ok;
}

static void write_records(struct fixture *f, int count, const char *subject)
{
    fixture_open(f);
    for (int i = 0; i < count; i++)
        assert_true(write_record(f, subject));
    fixture_close(f);
}

static void is_told(const struct fault *fault, const char *words)
{
    if (fault->kind != FAULT_INVALID || !strstr(fault->message, words))
        fail_msg("\"%s\" is not in %d: %s (%s)", words, fault->kind, fault->message, fault->detail);
}

/* Both ways to look at it say so. */
static void is_found_out(struct fixture *f, const char *words)
{
    struct audit_report report;
    struct fault fault = {0};

    assert_false(store_verify_audit(f->folder, &report, &fault));
    is_told(&fault, words);
    fault = (struct fault){0};
    assert_false(store_open(&f->options, &f->store, &fault));
    assert_null(f->store);
    is_told(&fault, words);
}

static void is_whole(struct fixture *f, int64_t records)
{
    struct audit_report report;
    char hex[2 * AUDIT_HASH_SIZE + 1];
    struct audit_walk head;

    f->fault = (struct fault){0};
    if (!store_verify_audit(f->folder, &report, &f->fault))
        fail_msg("%s (%s)", f->fault.message, f->fault.detail);
    assert_int_equal(report.records, records);
    fixture_open(f);
    store_audit_head(f->store, &head);
    fixture_close(f);
    assert_int_equal(head.seq, records);
    hex_encode(head.hash, AUDIT_HASH_SIZE, hex);
    assert_string_equal(hex, report.head);
}

static void copy_file(struct fixture *f, const char *from, const char *to)
{
    struct text content = {0};

    assert_true(file_read(fixture_path(f, from), MIB(64), &content, &f->fault));
    assert_true(file_write_durable(fixture_path(f, to), content.data, content.len, 0600, &f->fault));
    text_done(&content);
}

static void the_head_moves_with_the_records(void **state)
{
    struct fixture *f = *state;
    uint8_t zero[AUDIT_HASH_SIZE] = {0};
    struct audit_walk head;

    fixture_open(f);
    store_audit_head(f->store, &head);
    assert_int_equal(head.seq, 0);
    assert_memory_equal(head.hash, zero, AUDIT_HASH_SIZE);
    assert_true(write_record(f, "ann"));
    store_audit_head(f->store, &head);
    assert_int_equal(head.seq, 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 1);
    fixture_close(f);
    is_whole(f, 1);
}

static void the_end_that_was_cut_off(void **state)
{
    struct fixture *f = *state;

    write_records(f, 20, "ann");
    is_whole(f, 20);
    fixture_sql(f, "DELETE FROM audit WHERE seq > 19");
    is_found_out(f, "records 20 to 20 are missing");
    fixture_sql(f, "DELETE FROM audit WHERE seq > 3");
    is_found_out(f, "records 4 to 20 are missing");
    fixture_sql(f, "DELETE FROM audit");
    is_found_out(f, "records 1 to 20 are missing");
}

/* A whole chain of as many records, without the key. */
static void the_log_that_was_computed_anew(void **state)
{
    struct fixture *f = *state;
    const char *folder = f->options.folder;

    write_records(f, 20, "eve");
    f->options.folder = fixture_path(f, "other");
    write_records(f, 20, "ann");
    f->options.folder = folder;
    is_whole(f, 20);
    fixture_sql(f,
                arena_printf(&f->arena, "ATTACH '%s' AS o; DELETE FROM audit; INSERT INTO audit SELECT * FROM o.audit",
                             fixture_path(f, "other/bailiff.db")));
    is_found_out(f, "last record, 20, is not the one that was sealed");
    /* with its own seal, too: the key was another one */
    fixture_sql(f, arena_printf(&f->arena,
                                "ATTACH '%s' AS o; UPDATE meta SET value = (SELECT value FROM o.meta WHERE name = "
                                "'audit_seal') WHERE name = 'audit_seal'",
                                fixture_path(f, "other/bailiff.db")));
    is_found_out(f, "forged");
}

static void an_earlier_seal(void **state)
{
    struct fixture *f = *state;

    write_records(f, 20, "ann");
    copy_file(f, "bailiff.db", "earlier.db");
    write_records(f, 5, "ann");
    fixture_sql(f, arena_printf(&f->arena,
                                "ATTACH '%s' AS o; UPDATE meta SET value = (SELECT value FROM o.meta WHERE name = "
                                "'audit_seal') WHERE name = 'audit_seal'",
                                fixture_path(f, "earlier.db")));
    is_found_out(f, "records 21 to 25 stand behind");
}

static void a_seal_that_is_none(void **state)
{
    struct fixture *f = *state;

    write_records(f, 20, "ann");
    fixture_sql(f, "UPDATE meta SET value = zeroblob(72) WHERE name = 'audit_seal'");
    is_found_out(f, "forged");
    fixture_sql(f, "UPDATE meta SET value = 5 WHERE name = 'audit_seal'");
    is_found_out(f, "forged");
    fixture_sql(f, "DELETE FROM meta WHERE name = 'audit_seal'");
    is_found_out(f, "seal of the audit log's end is missing");
    fixture_sql(f, "DELETE FROM audit"); /* as if it had just been made */
    is_found_out(f, "seal of the audit log's end is missing");
}

static void the_key_is_made_once(void **state)
{
    struct fixture *f = *state;
    const char *path = fixture_path(f, "audit.key");
    struct text first = {0}, second = {0};
    struct stat st;

    fixture_open(f);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, AUDIT_KEY_SIZE);
    fixture_close(f);
    assert_true(file_read(path, 100, &first, &f->fault));
    is_whole(f, 0);
    assert_true(file_read(path, 100, &second, &f->fault));
    assert_true(span_eq(text_span(&first), text_span(&second)));
    text_done(&first);
    text_done(&second);
    /* a crash before the first start had written the key: nothing can have been recorded by then */
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    fixture_close(f);
    is_whole(f, 0);
    fixture_sql(f, "DELETE FROM meta WHERE name = 'audit_seal'");
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    fixture_close(f);
    is_whole(f, 0);
}

static void a_key_that_is_missing(void **state)
{
    struct fixture *f = *state;
    const char *key = fixture_path(f, "audit.key"), *away = fixture_path(f, "away");
    struct stat st;

    write_records(f, 20, "ann");
    assert_int_equal(rename(key, away), 0);
    is_found_out(f, "audit.key is missing");
    assert_int_equal(stat(key, &st), -1); /* no new one */
    assert_int_equal(rename(away, key), 0);
    is_whole(f, 20);
    assert_int_equal(rename(key, away), 0);
    fixture_sql(f, "DELETE FROM audit");
    is_found_out(f, "audit.key is missing");
    assert_int_equal(stat(key, &st), -1);
}

static void a_key_that_is_not_the_one(void **state)
{
    struct fixture *f = *state;
    const char *key = fixture_path(f, "audit.key");
    uint8_t other[AUDIT_KEY_SIZE + 1] = {1};

    write_records(f, 3, "ann");
    assert_true(file_write_durable(key, other, AUDIT_KEY_SIZE, 0600, &f->fault));
    is_found_out(f, "forged");
    assert_true(file_write_durable(key, other, AUDIT_KEY_SIZE - 1, 0600, &f->fault));
    is_found_out(f, "audit.key is damaged");
    assert_true(file_write_durable(key, other, AUDIT_KEY_SIZE + 1, 0600, &f->fault));
    is_found_out(f, "audit.key is larger");
    assert_true(file_write_durable(key, other, AUDIT_KEY_SIZE, 0644, &f->fault));
    assert_false(store_open(&f->options, &f->store, &f->fault));
    is_told(&f->fault, "chmod 600");
}

/* Another database in its place, a new one even, is not taken for the one that the key was made with. */
static void a_database_that_was_removed(void **state)
{
    struct fixture *f = *state;

    write_records(f, 3, "ann");
    assert_int_equal(unlink(fixture_path(f, "bailiff.db")), 0);
    assert_false(store_open(&f->options, &f->store, &f->fault));
    is_told(&f->fault, "another database");
}

struct verifying {
    struct fixture *f;
    atomic_bool stop;
    atomic_int verified, failed;
};

static void *verify_main(void *arg)
{
    struct verifying *v = arg;

    while (!v->stop) {
        struct audit_report report;
        struct fault fault = {0};
        if (store_verify_audit(v->f->folder, &report, &fault))
            v->verified++;
        else if (v->failed++ == 0)
            print_error("%s (%s)\n", fault.message, fault.detail);
    }
    return NULL;
}

/* More records than one page has, and a writer that does not stop: seal and records are read as of one moment. */
static void verification_beside_a_writer(void **state)
{
    struct fixture *f = *state;
    struct verifying v = {.f = f};
    struct audit_walk before, now;
    pthread_t thread;

    fixture_open(f);
    assert_int_equal(pthread_create(&thread, NULL, verify_main, &v), 0);
    store_audit_head(f->store, &before);
    for (int i = 0; (i < 1500 || v.verified < 20) && v.failed == 0; i++) {
        assert_true(write_record(f, "ann"));
        store_audit_head(f->store, &now);
        assert_int_equal(now.seq, before.seq + 1);
        before = now;
    }
    v.stop = true;
    pthread_join(thread, NULL);
    assert_int_equal(v.failed, 0);
    fixture_close(f);
    is_whole(f, before.seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_prepare, fixture_teardown)
        T(the_head_moves_with_the_records),
        T(the_end_that_was_cut_off),
        T(the_log_that_was_computed_anew),
        T(an_earlier_seal),
        T(a_seal_that_is_none),
        T(the_key_is_made_once),
        T(a_key_that_is_missing),
        T(a_key_that_is_not_the_one),
        T(a_database_that_was_removed),
        T(verification_beside_a_writer),
    };

    return cmocka_run_group_tests_name("store_seal", tests, NULL, NULL);
}
