/* The audit log in the database: whoever changes it is found out, and a log that was changed is not continued. */
#include "store/schema.h"
#include "unit/store_fixture.h"

enum { RECORDS = 1500 }; /* more than are proved at a start */

static void fill(struct fixture *f, int records)
{
    for (int i = 0; i < records; i++) {
        struct change *change = change_new();
        change->class = CHANGE_JOB;
        change->audited = true;
        change->audit =
            (struct audit_draft){.action = "test", .subject = i % 2 ? "ann" : "ben", .path = "/\xff caf\xc3\xa9"};
        if (i % 3 == 1) { /* 1400 is one */
            change->audit.certificate = "ab";
            change->audit.certificate_subject = "CN=ann";
        }
        change->done = (void (*)(struct change *))change_free;
        assert_true(store_submit(f->store, change, &f->fault));
    }
    fixture_close(f);
    fixture_open(f);
}

static void verify_fails(struct fixture *f, const char *words)
{
    struct audit_report report;

    f->fault = (struct fault){0};
    assert_false(store_verify_audit(f->folder, &report, &f->fault));
    if (f->fault.kind != FAULT_INVALID || !strstr(f->fault.message, words))
        fail_msg("%d: %s (%s)", f->fault.kind, f->fault.message, f->fault.detail);
}

static void opening_fails(struct fixture *f, const char *words)
{
    f->fault = (struct fault){0};
    assert_false(store_open(&f->options, &f->store, &f->fault));
    if (f->fault.kind != FAULT_INVALID || !strstr(f->fault.message, words))
        fail_msg("%d: %s (%s)", f->fault.kind, f->fault.message, f->fault.detail);
}

static void opening_works(struct fixture *f)
{
    fixture_open(f);
    fixture_close(f);
}

static void a_whole_chain(void **state)
{
    struct fixture *f = *state;
    struct audit_report report;

    assert_true(store_verify_audit(f->folder, &report, &f->fault));
    assert_int_equal(report.records, 0);
    assert_int_equal(report.first_seq, 0);
    assert_string_equal(report.head, "0000000000000000000000000000000000000000000000000000000000000000");
    fill(f, RECORDS);
    assert_true(store_verify_audit(f->folder, &report, &f->fault)); /* while the server runs */
    assert_int_equal(report.records, RECORDS);
    assert_int_equal(report.first_seq, 1);
    assert_int_equal(report.last_seq, RECORDS);
    assert_int_equal(strlen(report.head), 64);
    fixture_create(f, DOUBLE);
    fixture_close(f);
    assert_true(store_verify_audit(f->folder, &report, &f->fault)); /* and when none does */
    assert_int_equal(report.records, RECORDS + 1);
    opening_works(f);
}

static void an_early_record_that_was_changed(void **state)
{
    struct fixture *f = *state;

    fill(f, RECORDS);
    fixture_sql(f, "UPDATE audit SET subject = 'eve' WHERE seq = 17");
    verify_fails(f, "record 17 is not what it was");
    fixture_close(f);
    verify_fails(f, "record 17 is not what it was");
    opening_works(f); /* a start proves the end only: a full proof is for `bailiff audit verify` */
}

static void a_late_record_that_was_changed(void **state)
{
    static const char *const columns[] = {"time = time + 1",
                                          "outcome = 'failed'",
                                          "subject = NULL",
                                          "target = ''",
                                          "status = status + 200",
                                          "count = 2",
                                          "detail = '{}'",
                                          "certificate = NULL",
                                          "certificate = 'cd'",
                                          "certificate_subject = NULL",
                                          "certificate = NULL, certificate_subject = NULL"};
    struct fixture *f = *state;

    fill(f, RECORDS);
    fixture_close(f);
    fixture_sql(f, "CREATE TABLE saved AS SELECT * FROM audit WHERE seq = 1400");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        fixture_sql(f, arena_printf(&f->arena, "UPDATE audit SET %s WHERE seq = 1400", columns[i]));
        opening_fails(f, "record 1400 is not what it was");
        fixture_sql(f, "REPLACE INTO audit SELECT * FROM saved");
    }
    opening_works(f);
}

static void records_that_were_removed(void **state)
{
    struct fixture *f = *state;

    fill(f, RECORDS);
    fixture_close(f);
    fixture_sql(f, "DELETE FROM audit WHERE seq BETWEEN 1200 AND 1209");
    opening_fails(f, "record 1210 stands where record 1200 was expected");
    verify_fails(f, "record 1210 stands where record 1200 was expected");
    fixture_sql(f, "UPDATE audit SET seq = seq - 10 WHERE seq >= 1210"); /* the gap closed */
    opening_fails(f, "record 1200 does not belong behind record 1199");
    verify_fails(f, "record 1200 does not belong behind record 1199");
}

static void the_beginning_that_was_removed(void **state)
{
    struct fixture *f = *state;

    fill(f, 20);
    fixture_close(f);
    fixture_sql(f, "DELETE FROM audit WHERE seq <= 5");
    opening_fails(f, "records before 6 are missing");
    verify_fails(f, "record 6 stands where record 1 was expected");
}

static void records_that_were_exchanged(void **state)
{
    struct fixture *f = *state;

    fill(f, RECORDS);
    fixture_close(f);
    fixture_sql(f, "UPDATE audit SET seq = -1 WHERE seq = 1450; UPDATE audit SET seq = 1450 WHERE seq = 1451;"
                   "UPDATE audit SET seq = 1451 WHERE seq = -1");
    opening_fails(f, "record 1450 does not belong behind record 1449");
    verify_fails(f, "record 1450 does not belong behind record 1449");
}

static void records_that_were_added(void **state)
{
    struct fixture *f = *state;

    fill(f, 20);
    fixture_close(f);
    fixture_sql(f, "CREATE TABLE saved AS SELECT * FROM audit");
    fixture_sql(
        f,
        "INSERT INTO audit SELECT 21, time, outcome, action, target, issuer, subject, token_id, roles, address, "
        "request_id, client_request_id, method, path, permission, decision_id, reason, detail, status, count, "
        "hash, hash, certificate, certificate_subject FROM audit WHERE seq = 20"); /* behind the last, with a link that fits */
    opening_fails(f, "record 21 is not what it was");
    fixture_sql(f, "DELETE FROM audit WHERE seq = 21; UPDATE audit SET seq = 0 WHERE seq = 1;"
                   "INSERT INTO audit SELECT * FROM saved WHERE seq = 1"); /* before the first */
    verify_fails(f, "record 0 stands where record 1 was expected");
    fixture_sql(f, "DELETE FROM audit WHERE seq = 0");
    opening_works(f);
    fixture_sql(
        f, "INSERT INTO audit SELECT 5000, time, outcome, action, target, issuer, subject, token_id, roles, address, "
           "request_id, client_request_id, method, path, permission, decision_id, reason, detail, status, count, "
           "hash, hash, certificate, certificate_subject FROM audit WHERE seq = 20");
    verify_fails(f, "record 5000 stands where record 21 was expected");
}

static void records_that_are_none(void **state)
{
    struct fixture *f = *state;

    fill(f, 20);
    fixture_close(f);
    fixture_sql(f, "UPDATE audit SET outcome = 'forgiven' WHERE seq = 3");
    opening_fails(f, "record 3 is not one that bailiff writes");
    fixture_sql(f, "UPDATE audit SET outcome = 'done' WHERE seq = 3; UPDATE audit SET hash = x'00' WHERE seq = 9");
    opening_fails(f, "record 9 is not one that bailiff writes");
    verify_fails(f, "record 9 is not one that bailiff writes");
}

/* Read by bailiff they are what they were; read with sqlite3, as whoever searches the log does, they are not found any more. */
static void records_that_only_look_the_same(void **state)
{
    static const char *const columns[] = {"subject = subject || char(0) || 'x'", "action = action || char(0)",
                                          "outcome = outcome || char(0)", "status = status + 4294967296", "count = 0"};
    struct fixture *f = *state;

    fill(f, 20);
    fixture_close(f);
    fixture_sql(f, "CREATE TABLE saved AS SELECT * FROM audit WHERE seq = 7");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        fixture_sql(f, arena_printf(&f->arena, "UPDATE audit SET %s WHERE seq = 7", columns[i]));
        verify_fails(f, "record 7 is not one that bailiff writes");
        fixture_sql(f, "REPLACE INTO audit SELECT * FROM saved");
    }
    opening_works(f);
    /* the table itself made anew, so that it takes values of any type */
    fixture_sql(f, "CREATE TABLE loose AS SELECT * FROM audit; DROP TABLE audit; ALTER TABLE loose RENAME TO audit;"
                   "UPDATE audit SET subject = CAST(subject AS BLOB) WHERE seq = 7");
    verify_fails(f, "record 7 is not one that bailiff writes");
    fixture_sql(f, "UPDATE audit SET subject = CAST(subject AS TEXT), status = status || 'x' WHERE seq = 7");
    verify_fails(f, "record 7 is not one that bailiff writes");
}

/* The database as it was when records had no certificates: the same records in the older layout. */
static void age(struct fixture *f)
{
    enum { BEFORE_CERTIFICATES = 5 };
    const struct migrations older = {SCHEMA.sql, BEFORE_CERTIFICATES};
    const char *path = fixture_path(f, "bailiff.db"), *fresh = fixture_path(f, "fresh.db");
    struct database *db = NULL;

    assert_int_equal(rename(path, fresh), 0);
    fclose(fopen(path, "w"));
    assert_true(database_open(path, DATABASE_WRITE, &db, &f->fault));
    assert_true(schema_prepare(db, &older, path, fixture_path(f, "backups"), &f->fault));
    database_close(db);
    fixture_sql(f,
                arena_printf(&f->arena,
                             "ATTACH '%s' AS fresh; INSERT OR REPLACE INTO meta SELECT * FROM fresh.meta;"
                             "INSERT INTO audit SELECT seq, time, outcome, action, target, issuer, subject, token_id, "
                             "roles, address, request_id, client_request_id, method, path, permission, decision_id, "
                             "reason, detail, status, count, previous, hash FROM fresh.audit",
                             fresh));
}

/* A log that was begun before records had certificates goes on, and is proved from its first record to its last. */
static void a_log_of_an_older_layout(void **state)
{
    struct fixture *f = *state;
    struct audit_report report;

    fixture_create(f, DOUBLE);
    fixture_create(f, DOUBLE);
    fixture_close(f);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 2);
    age(f);
    fixture_open(f);
    fill(f, 4);
    assert_true(store_verify_audit(f->folder, &report, &f->fault));
    assert_int_equal(report.records, 6);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit WHERE certificate = 'ab' AND certificate_subject = "
                                       "'CN=ann'"),
                     1);
    fixture_sql(f, "UPDATE audit SET certificate = 'ab' WHERE seq = 1"); /* given to a record of before */
    verify_fails(f, "record 1 is not what it was");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_whole_chain),
        T(a_log_of_an_older_layout),
        T(records_that_only_look_the_same),
        T(an_early_record_that_was_changed),
        T(a_late_record_that_was_changed),
        T(records_that_were_removed),
        T(the_beginning_that_was_removed),
        T(records_that_were_exchanged),
        T(records_that_were_added),
        T(records_that_are_none),
    };

    return cmocka_run_group_tests_name("store_audit", tests, NULL, NULL);
}
