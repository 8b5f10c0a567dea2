/* One SQLite connection with its prepared statements, and short-lived queries on them. One thread at a time. */
#ifndef BAILIFF_STORE_DATABASE_H
#define BAILIFF_STORE_DATABASE_H

#include <sqlite3.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"
#include "store/sql.h"

enum database_mode { DATABASE_WRITE, DATABASE_READ };

struct clock_pair { /* what both clocks said at one moment */
    int64_t wall_ms, mono_ms;
};
struct database {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
    uint64_t failed_statements;
};

must_check bool database_open(const char *path, enum database_mode mode, struct database **ret_db, struct fault *fault);
void database_close(struct database *db); /* NULL ok */
static inline void database_closep(struct database **db)
{
    database_close(*db);
}

/* Any SQL text, for pragmas and migrations. */
must_check bool database_exec(struct database *db, const char *sql, struct fault *fault);
must_check bool database_number(struct database *db, const char *sql, int64_t *ret, struct fault *fault);
/* A statement of the table that has neither parameters nor rows. */
must_check bool database_run(struct database *db, enum sql sql, struct fault *fault);
/* Turns what SQLite says into a fault: UNAVAILABLE for what may pass (full disk, I/O error, lock), INTERNAL otherwise. */
bool database_fault(const struct database *db, int rc, struct fault *fault);

/* ---- a query: own(query_done) resets its statement on every way out ---- */
struct query {
    struct database *db;
    sqlite3_stmt *statement;
    int bound; /* parameters so far */
    int rc;    /* the first error sticks: binding need not be checked */
};
enum query_result { QUERY_ROW, QUERY_DONE, QUERY_ERROR };

struct query query_begin(struct database *db, enum sql sql);
void query_done(struct query *q);
/* The next parameter. Texts and blobs must live until the query is done. */
void query_text(struct query *q, const char *s); /* NULL: null */
void query_blob(struct query *q, const void *data, size_t len);
void query_int(struct query *q, int64_t n);
void query_null(struct query *q);
enum query_result query_step(struct query *q);
bool query_fault(const struct query *q, struct fault *fault);        /* always false */
must_check bool query_run(struct query *q, struct fault *fault);     /* to its end; rows are not wanted */
must_check bool query_run_one(struct query *q, struct fault *fault); /* and it must have changed exactly one row */
/* Exactly one row with one number (QUERY_DONE: none; then *ret stays). */
must_check bool query_number(struct query *q, int64_t *ret, bool *ret_found, struct fault *fault);

/* ---- the row's columns ---- */
static inline int64_t query_column_int(const struct query *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}
static inline bool query_column_is_null(const struct query *q, int column)
{
    return sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}
struct span query_column_span(const struct query *q, int column); /* until the next step; data NULL: null */
const char *query_column_text(const struct query *q, int column, struct arena *arena); /* copied; NULL: null */

#endif
