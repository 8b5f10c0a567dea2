#include <errno.h>
#include <pthread.h>

#include "store/database.h"

const char *sql_text(enum sql sql)
{
    static const char *const TEXTS[] = {
#define X(name, text) [name] = text,
        STATEMENTS(X)
#undef X
    };

    return TEXTS[sql];
}

/* SQLite's threading mode belongs to the process and can only be set before its first use. Where somebody has used it
 * already this has no effect, and the flags of database_open alone do the work. */
static void configure_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static void configure_sqlite_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, configure_sqlite);
}

/* SQLite takes EIO of a read for a damaged file (SQLITE_IOERR_CORRUPTFS becomes SQLITE_CORRUPT), though what the disk does not give
 * may be whole. The file remembers. */
static bool read_failed(const struct database *db)
{
    sqlite3_file *log = NULL;
    int of_file = 0, of_log = 0;

    if (!db->handle)
        return false;
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_LAST_ERRNO, &of_file);
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &of_log);
    return of_file == EIO || of_log == EIO;
}

bool database_fault(const struct database *db, int rc, struct fault *fault)
{
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    int extended = db->handle ? sqlite3_extended_errcode(db->handle) : rc;

    if ((rc & 0xff) == SQLITE_CORRUPT && read_failed(db))
        rc = SQLITE_IOERR;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        fault_unavailable(fault, 5, "The disk of the store is full.");
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL: /* its locks fail again and again */
        fault_unavailable(fault, 5, "The store cannot use its disk.");
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
        fault_unavailable(fault, 1, "The store is busy.");
        break;
    default:
        return fault_internal(fault, "SQLite error %d: %s", extended, text);
    }
    return fault_detail(fault, "SQLite error %d: %s", extended, text);
}

bool database_exec(struct database *db, const char *sql, struct fault *fault)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK || database_fault(db, rc, fault);
}

bool database_number(struct database *db, const char *sql, int64_t *ret, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW || database_fault(db, rc, fault);
}

bool database_run(struct database *db, enum sql sql, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, sql);

    return query_run(&q, fault);
}

static bool database_prepare_connection(struct database *db, enum database_mode mode, struct fault *fault)
{
    /* a database that somebody tampered with must not run functions through triggers or views */
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, mode == DATABASE_WRITE ? 5000 : 1000);
    return database_exec(db,
                         mode == DATABASE_WRITE ? "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
                                                : "PRAGMA cache_size = -8192; PRAGMA query_only = ON;",
                         fault);
}

bool database_open(const char *path, enum database_mode mode, struct database **ret_db, struct fault *fault)
{
    int flags = SQLITE_OPEN_NOMUTEX | (mode == DATABASE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    own(database_closep) struct database *db = xcalloc(1, sizeof(*db));
    int rc;

    configure_sqlite_once();
    rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if ((rc & 0xff) == SQLITE_CANTOPEN)
        return fault_set(fault, FAULT_INVALID, "Cannot open the database %s: %s.", path, sqlite3_errstr(rc));
    if (rc != SQLITE_OK)
        return database_fault(db, rc, fault);
    if (!database_prepare_connection(db, mode, fault))
        return false;
    *ret_db = give(db);
    return true;
}

void database_close(struct database *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->handle);
    free(db);
}

/* ---- queries ---- */

struct query query_begin(struct database *db, enum sql sql)
{
    struct query q = {.db = db, .statement = db->statements[sql], .rc = SQLITE_OK};

    if (!q.statement) {
        q.rc = sqlite3_prepare_v3(db->handle, sql_text(sql), -1, SQLITE_PREPARE_PERSISTENT, &q.statement, NULL);
        db->statements[sql] = q.statement;
    }
    return q;
}

void query_done(struct query *q)
{
    if (!q->statement)
        return;
    sqlite3_reset(q->statement);
    if (q->bound > 0)
        sqlite3_clear_bindings(q->statement);
}

static void query_bound(struct query *q, int rc)
{
    if (q->rc == SQLITE_OK && rc != SQLITE_OK)
        q->rc = rc;
}

void query_text(struct query *q, const char *s)
{
    q->bound++;
    if (q->rc == SQLITE_OK)
        query_bound(q, s ? sqlite3_bind_text(q->statement, q->bound, s, -1, SQLITE_STATIC)
                         : sqlite3_bind_null(q->statement, q->bound));
}

void query_blob(struct query *q, const void *data, size_t len)
{
    q->bound++;
    if (q->rc == SQLITE_OK)
        query_bound(q, sqlite3_bind_blob64(q->statement, q->bound, len ? data : "", len, SQLITE_STATIC));
}

void query_int(struct query *q, int64_t n)
{
    q->bound++;
    if (q->rc == SQLITE_OK)
        query_bound(q, sqlite3_bind_int64(q->statement, q->bound, n));
}

void query_null(struct query *q)
{
    query_text(q, NULL);
}

enum query_result query_step(struct query *q)
{
    if (q->rc != SQLITE_OK && q->rc != SQLITE_ROW)
        return q->rc == SQLITE_DONE ? QUERY_DONE : QUERY_ERROR;
    q->rc = sqlite3_step(q->statement);
    q->db->failed_statements += q->rc != SQLITE_ROW && q->rc != SQLITE_DONE;
    return q->rc == SQLITE_ROW ? QUERY_ROW : q->rc == SQLITE_DONE ? QUERY_DONE : QUERY_ERROR;
}

bool query_fault(const struct query *q, struct fault *fault)
{
    return database_fault(q->db, q->rc, fault);
}

bool query_run(struct query *q, struct fault *fault)
{
    enum query_result result;

    do
        result = query_step(q);
    while (result == QUERY_ROW);
    return result == QUERY_DONE || query_fault(q, fault);
}

bool query_run_one(struct query *q, struct fault *fault)
{
    if (!query_run(q, fault))
        return false;
    if (sqlite3_changes(q->db->handle) != 1)
        return fault_internal(fault, "%d rows changed instead of one: %s", sqlite3_changes(q->db->handle),
                              sqlite3_sql(q->statement));
    return true;
}

bool query_number(struct query *q, int64_t *ret, bool *ret_found, struct fault *fault)
{
    enum query_result result = query_step(q);

    if (result == QUERY_ERROR)
        return query_fault(q, fault);
    *ret_found = result == QUERY_ROW && !query_column_is_null(q, 0);
    if (*ret_found)
        *ret = query_column_int(q, 0);
    return true;
}

struct span query_column_span(const struct query *q, int column)
{
    /* not as text: SQLite would copy it to put a NUL behind it, and have nothing to say if there is no memory for that */
    const char *data = sqlite3_column_blob(q->statement, column);

    if (!data)
        return sqlite3_column_type(q->statement, column) == SQLITE_NULL ? (struct span){NULL, 0} : (struct span){"", 0};
    return (struct span){data, (size_t)sqlite3_column_bytes(q->statement, column)};
}

const char *query_column_text(const struct query *q, int column, struct arena *arena)
{
    struct span s = query_column_span(q, column);

    return s.data ? arena_strndup(arena, s.data, s.len) : NULL;
}
