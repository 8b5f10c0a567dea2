/* Opening: a new database, an old one, somebody else's, a damaged one, one in use. */
#include <fcntl.h>
#include <glob.h>

#include "store/schema.h"
#include "unit/store_fixture.h"

static void open_fails(struct fixture *f, enum fault_kind kind, const char *words)
{
    f->fault = (struct fault){0};
    assert_false(store_open(&f->options, &f->store, &f->fault));
    assert_null(f->store);
    if (f->fault.kind != kind || !strstr(f->fault.message, words))
        fail_msg("%d: %s (%s)", f->fault.kind, f->fault.message, f->fault.detail);
}

static void what_was_written_is_there_again(void **state)
{
    struct fixture *f = *state;
    uint8_t secret[32], zero[32] = {0};
    struct task made, read;

    fixture_open(f);
    made = fixture_create(f, DOUBLE);
    memcpy(secret, store_secret(f->store), 32);
    assert_memory_not_equal(secret, zero, 32);
    fixture_close(f);
    fixture_open(f);
    assert_memory_equal(secret, store_secret(f->store), 32);
    assert_true(store_find_task(f->reader, &ALL, made.id, &f->arena, &read, &f->fault));
    assert_true(store_healthy(f->store, &f->fault));
    assert_int_equal(store_queue_length(f->store), 0);
}

static void only_we_can_read_it(void **state)
{
    struct fixture *f = *state;
    const char *folder = fixture_path(f, "deeper/store");
    const char *const files[] = {"deeper/store/bailiff.db", "deeper/store/bailiff.db-wal", "deeper/store/audit.key",
                                 "deeper/store/lock"};
    mode_t before = umask(0);
    struct stat st;

    f->options.folder = folder;
    fixture_open(f);
    fixture_create(f, DOUBLE);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_int_equal(stat(fixture_path(f, files[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    umask(before);
}

static void pragmas_are_as_promised(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    assert_int_equal(fixture_number(f, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
    assert_int_equal(fixture_number(f, "PRAGMA user_version"), SCHEMA.count);
    assert_int_equal(fixture_number(f, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(fixture_number(f,
                                    "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND schema = 'main' "
                                    "AND name NOT LIKE 'sqlite_%' AND NOT strict"),
                     0);
}

static void two_servers_on_one_folder(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    struct fault fault = {0};
    int fd = -1;

    fixture_open(f);
    assert_false(store_open(&f->options, &second, &fault));
    assert_int_equal(fault.kind, FAULT_CONFLICT);
    assert_non_null(strstr(fault.message, "in use"));
    fault = (struct fault){0};
    assert_false(store_lock(f->folder, &fd, &fault));
    assert_int_equal(fault.kind, FAULT_CONFLICT);
    fixture_close(f);
    fault = (struct fault){0};
    assert_true(store_lock(f->folder, &fd, &fault));
    open_fails(f, FAULT_CONFLICT, "in use");
    closep(&fd);
    fixture_open(f);
}

static void a_newer_database_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    fixture_sql(f, "PRAGMA user_version = 99");
    open_fails(f, FAULT_INVALID, "newer bailiff (layout 99");
    assert_int_equal(fixture_number(f, "PRAGMA user_version"), 99); /* untouched */
    assert_false(store_verify_audit(f->folder, &(struct audit_report){0}, &(struct fault){0}));
}

static void somebody_elses_database_is_left_alone(void **state)
{
    struct fixture *f = *state;

    fixture_sql(f, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    open_fails(f, FAULT_INVALID, "not bailiff's");
    assert_int_equal(fixture_number(f, "SELECT x FROM theirs"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void a_file_that_is_no_database(void **state)
{
    struct fixture *f = *state;
    char *noise = arena_alloc(&f->arena, 8192);

    memset(noise, 'x', 8192);
    assert_true(file_write_durable(fixture_path(f, "bailiff.db"), noise, 8192, 0600, &f->fault));
    open_fails(f, FAULT_INVALID, "damaged");
}

static void a_damaged_database_is_told(void **state)
{
    struct fixture *f = *state;
    char noise[4096];
    int fd;

    fixture_open(f);
    fixture_create(f, DOUBLE);
    fixture_close(f);
    memset(noise, 0xa5, sizeof(noise));
    fd = open(fixture_path(f, "bailiff.db"), O_WRONLY);
    assert_int_equal(pwrite(fd, noise, sizeof(noise) - 200, 200), sizeof(noise) - 200); /* the schema behind the head */
    close(fd);
    open_fails(f, FAULT_INVALID, "damaged");
}

static void a_link_is_not_followed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink("/tmp/elsewhere.db", fixture_path(f, "bailiff.db")), 0);
    open_fails(f, FAULT_INVALID, "Cannot open the database");
}

static void a_folder_that_cannot_be(void **state)
{
    struct fixture *f = *state;

    assert_true(file_write_durable(fixture_path(f, "plain"), "", 0, 0600, &f->fault));
    f->options.folder = fixture_path(f, "plain/store");
    open_fails(f, FAULT_INVALID, "plain");
    assert_false(store_verify_audit(fixture_path(f, "nowhere"), &(struct audit_report){0}, &f->fault));
}

/* ---- migrations: with one more of the test's own ---- */

static bool prepare_with(struct fixture *f, const struct migrations *migrations, struct fault *fault)
{
    struct database *db = NULL;
    const char *path = fixture_path(f, "bailiff.db");
    bool ok = database_open(path, DATABASE_WRITE, &db, fault) &&
              schema_prepare(db, migrations, path, fixture_path(f, "backups"), fault);

    database_close(db);
    return ok;
}

static size_t backups(struct fixture *f, char *ret_first)
{
    glob_t found;
    size_t count;

    glob(fixture_path(f, "backups/*.db"), 0, NULL, &found);
    count = found.gl_pathc;
    if (count > 0)
        snprintf(ret_first, 256, "%s", found.gl_pathv[0]);
    globfree(&found);
    return count;
}

enum { VERSIONS_MAX = 64 };
/* All versions that there are, and one more. */
static int one_more(const char *sql[static VERSIONS_MAX], const char *last)
{
    memcpy(sql, SCHEMA.sql, (size_t)SCHEMA.count * sizeof(*sql));
    sql[SCHEMA.count] = last;
    return SCHEMA.count + 1;
}

/* Jobs of the layout before controls, limits and retries: they stay what they were. */
static void jobs_of_an_earlier_layout_go_on(void **state)
{
    struct fixture *f = *state;
    const struct migrations earlier = {SCHEMA.sql, 6};
    struct job job;

    close(open(fixture_path(f, "bailiff.db"), O_WRONLY | O_CREAT, 0600));
    if (!prepare_with(f, &earlier, &f->fault))
        fail_msg("%s (%s)", f->fault.message, f->fault.detail);
    fixture_sql(f,
                "INSERT INTO submission (id, entity_id, entity_type, entity_config_id, version, submitted_by, "
                "created_at) VALUES ('SUBMISSION_1', 'TASK_double_1', 'TASK', 'double', '1.0', 'ben', 5);"
                "INSERT INTO job (id, task_config_id, version, created_at, task_id, status, revision, submission_id, "
                "force, attempt, submitted_by) VALUES ('JOB_double_1', 'double', '1.0', 5, 'TASK_double_1', 'RUNNING', "
                "2, 'SUBMISSION_1', 0, 1, 'ben')");
    fixture_open(f);
    assert_true(store_find_job(f->reader, &ALL, "JOB_double_1", &f->arena, &job, &f->fault));
    assert_int_equal(job.status, JOB_RUNNING);
    assert_int_equal(job.controls.timeout_ms, -1);
    assert_false(job.controls.has_retries);
    assert_int_equal(job.controls.lost, LOST_UNSAID);
    assert_int_equal(job.retries + job.losses, 0);
    assert_int_equal(job.retry_at_ms, 0);
    assert_null(job.blocked_by);
}

static void an_older_database_is_backed_up_and_migrated(void **state)
{
    struct fixture *f = *state;
    const char *sql[VERSIONS_MAX];
    const int count = one_more(sql, "ALTER TABLE task ADD COLUMN first INTEGER NOT NULL DEFAULT 3;"
                                    "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO extra VALUES (7);");
    const struct migrations more = {sql, count};
    char backup[256];
    struct stat st;

    fixture_open(f);
    fixture_create(f, DOUBLE);
    fixture_close(f);
    assert_int_equal(backups(f, backup), 0);
    assert_true(prepare_with(f, &more, &f->fault));
    assert_int_equal(fixture_number(f, "PRAGMA user_version"), count);
    assert_int_equal(fixture_number(f, "SELECT first FROM task"), 3);
    assert_int_equal(fixture_number(f, "SELECT x FROM extra"), 7);

    assert_int_equal(backups(f, backup), 1);
    assert_int_equal(stat(backup, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(rename(backup, fixture_path(f, "bailiff.db")), 0); /* a backup is a whole database */
    remove(fixture_path(f, "bailiff.db-wal"));
    remove(fixture_path(f, "bailiff.db-shm"));
    assert_int_equal(fixture_number(f, "PRAGMA user_version"), SCHEMA.count);
    fixture_open(f);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), 1);

    /* a current one is neither backed up nor touched */
    fixture_close(f);
    assert_true(prepare_with(f, &SCHEMA, &f->fault));
    assert_int_equal(backups(f, backup), 0);
}

/* Jobs that were unfinished before anybody counted them are counted by the migration. */
static void unfinished_jobs_of_before_are_counted(void **state)
{
    struct fixture *f = *state;
    const struct migrations before = {SCHEMA.sql, 3};

    fixture_sql(f, "VACUUM"); /* the file */
    if (!prepare_with(f, &before, &f->fault))
        fail_msg("%s (%s)", f->fault.message, f->fault.detail);
    fixture_sql(f,
                "INSERT INTO submission VALUES (1, 's', 't', 'TASK', 'c', '1.0', 'ben', 'RUNNING', 0);"
                "INSERT INTO job (seq, id, task_config_id, version, created_at, task_id, status, revision, "
                "submission_id, force, submitted_by) VALUES (1, 'a', 'c', '1.0', 0, 't', 'PENDING', 1, 's', 0, 'ben'),"
                "(2, 'b', 'c', '1.0', 0, 't', 'COMPLETED', 1, 's', 0, 'ben'),"
                "(3, 'c', 'c', '1.0', 0, 't', 'SUBMITTED', 1, 's', 0, 'ben'),"
                "(4, 'd', 'c', '1.0', 0, 't', 'RUNNING', 1, 's', 0, 'ann');");
    assert_true(prepare_with(f, &SCHEMA, &f->fault));
    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load WHERE issuer = '' AND subject = 'ben'"), 2);
    assert_int_equal(fixture_number(f, "SELECT sum(unfinished) FROM subject_load"), 3);
}

/* Until version 4 a submission's status was a column, and that a job had ended was told by its status alone. */
static void jobs_of_version_4_are_kept(void **state)
{
    struct fixture *f = *state;
    const struct migrations old = {SCHEMA.sql, 4};
    struct submission ended, waiting;

    close(open(fixture_path(f, "bailiff.db"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_true(prepare_with(f, &old, &f->fault));
    fixture_sql(
        f, "INSERT INTO submission VALUES (1, 'SUBMISSION_a', 'T', 'TASK', 'double', '1', 'ann', 'COMPLETED', 10),"
           " (2, 'SUBMISSION_b', 'T', 'TASK', 'double', '1', 'ann', 'PENDING', 11);"
           "INSERT INTO job (id, task_config_id, version, created_at, task_id, status, revision, submission_id, force,"
           " submitted_by, started_at, ended_at) VALUES"
           " ('JOB_a', 'double', '1', 10, 'T', 'COMPLETED', 3, 'SUBMISSION_a', 0, 'ann', 12, 13),"
           " ('JOB_b', 'double', '1', 11, 'T', 'PENDING', 1, 'SUBMISSION_b', 0, 'ann', 0, 0),"
           " ('JOB_c', 'double', '1', 11, 'T', 'SKIPPED', 1, 'SUBMISSION_b', 0, 'ann', 0, 0);");
    fixture_open(f);
    assert_true(store_find_submission(f->reader, &ALL, "SUBMISSION_a", &f->arena, &ended, &f->fault));
    assert_true(store_find_submission(f->reader, &ALL, "SUBMISSION_b", &f->arena, &waiting, &f->fault));
    assert_int_equal(ended.status, SUBMISSION_COMPLETED);
    assert_int_equal(waiting.status, SUBMISSION_PENDING);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job WHERE ended_at = 0"), 1);
    assert_int_equal(fixture_number(f, "SELECT ended_at FROM job WHERE id = 'JOB_a'"), 13);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const char *broken[VERSIONS_MAX], *dangling[VERSIONS_MAX];
    const int count = one_more(broken, "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);");
    (void)one_more(dangling, "INSERT INTO task_data_node (task_seq, data_node_seq) VALUES (77, 78);");
    const struct migrations migrations[] = {{broken, count}, {dangling, count}};

    fixture_open(f);
    fixture_create(f, DOUBLE);
    fixture_close(f);
    for (size_t i = 0; i < ARRAY_LEN(migrations); i++) {
        f->fault = (struct fault){0};
        assert_false(prepare_with(f, &migrations[i], &f->fault));
        assert_non_null(strstr(f->fault.message, "was left as it was"));
        assert_int_equal(fixture_number(f, "PRAGMA user_version"), SCHEMA.count);
        assert_int_equal(fixture_number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"), 0);
        usleep(2000); /* backups are named by the millisecond */
    }
    fixture_open(f);
}

/* Every statement of the table must be SQL that this schema understands. */
static void every_statement_can_be_prepared(void **state)
{
    struct fixture *f = *state;
    struct database *db = NULL;

    fixture_open(f);
    assert_true(database_open(fixture_path(f, "bailiff.db"), DATABASE_WRITE, &db, &f->fault));
    for (int i = 0; i < SQL_COUNT; i++) {
        own(query_done) struct query q = query_begin(db, (enum sql)i);
        if (q.rc != SQLITE_OK)
            fail_msg("%s: %s", sql_text((enum sql)i), sqlite3_errmsg(db->handle));
    }
    database_close(db);
}

/* Lists and look-ups go by an index, or they would stop the loop that runs them. */
static void no_statement_of_a_reader_sorts_or_scans(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;

    fixture_open(f);
    assert_int_equal(sqlite3_open(fixture_path(f, "bailiff.db"), &db), SQLITE_OK);
    for (int i = 0; i < SQL_COUNT; i++) {
        const char *text = sql_text((enum sql)i);
        sqlite3_stmt *statement;
        if (strncmp(text, "SELECT", 6) != 0 || i == SQL_INTENTS || i == SQL_INTENT_FIND || i == SQL_LOCKS_LEFT_BEHIND ||
            i == SQL_LATEST_TIME)
            continue;
        assert_int_equal(
            sqlite3_prepare_v2(db, arena_printf(&f->arena, "EXPLAIN QUERY PLAN %s", text), -1, &statement, NULL),
            SQLITE_OK);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(statement, 3);
            bool scan = strncmp(step, "SCAN", 4) == 0 && !strstr(step, "CONSTANT ROW") &&
                        !strstr(step, "(subquery") &&    /* which has a limit of its own */
                        !strstr(step, "publish_intent"); /* which is empty most of the time */
            if (scan || strstr(step, "TEMP B-TREE"))
                fail_msg("%s: %s", text, step);
        }
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_prepare, fixture_teardown)
        T(what_was_written_is_there_again),
        T(only_we_can_read_it),
        T(pragmas_are_as_promised),
        T(two_servers_on_one_folder),
        T(a_newer_database_is_refused),
        T(somebody_elses_database_is_left_alone),
        T(a_file_that_is_no_database),
        T(a_damaged_database_is_told),
        T(a_link_is_not_followed),
        T(a_folder_that_cannot_be),
        T(an_older_database_is_backed_up_and_migrated),
        T(unfinished_jobs_of_before_are_counted),
        T(jobs_of_version_4_are_kept),
        T(a_migration_that_fails_changes_nothing),
        T(jobs_of_an_earlier_layout_go_on),
        T(every_statement_can_be_prepared),
        T(no_statement_of_a_reader_sorts_or_scans),
    };

    return cmocka_run_group_tests_name("store_open", tests, NULL, NULL);
}
