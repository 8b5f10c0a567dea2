#include "store/batch.h"

#include "bailiff/clock.h"
#include "store/seal.h"

/* ---- the log ---- */

enum { CHECKPOINT_PAGES = 250 };

/* SQLite's own would not say when it failed: commits go on, and the log grows until the disk is full. */
static int log_grown(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct ledger *ledger = arg;

    ledger->log_pages = pages;
    if (pages < CHECKPOINT_PAGES)
        return SQLITE_OK;
    int rc = sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    bool later = rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
    ledger->checkpoint_error = later ? SQLITE_OK : rc;
    return SQLITE_OK;
}

void batch_watch_log(struct ledger *ledger)
{
    sqlite3_wal_hook(ledger->db->handle, log_grown, ledger);
}

/* ---- one change ---- */

/* SQLite may have rolled everything back, released savepoints included: a full disk, an I/O error. */
static bool transaction_stands(const struct store_txn *txn, const struct fault *cause, struct fault *fault)
{
    if (!sqlite3_get_autocommit(txn->db->handle))
        return true;
    if (cause->kind == FAULT_UNAVAILABLE)
        fault_unavailable(fault, cause->retry_after_s, "%s", cause->message);
    else
        fault_internal(fault, "SQLite ended the transaction");
    return fault_detail(fault, "%s", cause->detail);
}

/* What a change leaves in the transaction. SQLite undoes statements that fail, but not always: half of one may stand, uncounted, where it met
 * damage. */
struct traces {
    int64_t rows;
    uint64_t failed_statements;
};

static struct traces traces_now(const struct store_txn *txn)
{
    return (struct traces){sqlite3_total_changes64(txn->db->handle), txn->db->failed_statements};
}

/* Of what a change did that failed. Without savepoints there is nothing to be undone, or all is. */
static bool change_take_back(struct store_txn *txn, const struct traces *before, struct fault *fault)
{
    struct traces now = traces_now(txn);
    bool wrote = now.rows != before->rows || now.failed_statements != before->failed_statements;

    txn->failed_late = txn->failed_late || wrote;
    return txn->with_savepoints ? database_run(txn->db, SQL_ROLLBACK_TO, fault) : !wrote;
}

static bool change_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    size_t events = txn->event_count;
    struct traces before = traces_now(txn);

    change->ok = true;
    if (!change->apply)
        return true;
    if (txn->with_savepoints && !database_run(txn->db, SQL_SAVEPOINT, fault))
        return false;
    txn->issuer = change->audit.issuer;
    change->ok = change->apply(txn, change, &change->fault);
    if (!transaction_stands(txn, &change->fault, fault))
        return false;
    if (!change->ok) {
        fault_internal(&change->fault, "a change failed without a reason"); /* keeps the reason that there is */
        txn->event_count = events;
        if (!change_take_back(txn, &before, fault))
            return false;
    }
    return !txn->with_savepoints || database_run(txn->db, SQL_RELEASE, fault);
}

static bool change_record(struct store_txn *txn, struct change *change, struct fault *fault)
{
    enum audit_outcome outcome = change->refused ? AUDIT_REFUSED : change->ok ? AUDIT_DONE : AUDIT_FAILED;

    if (!change->audited)
        return true;
    if (!change->ok && !change->audit.reason)
        change->audit.reason = change->fault.message;
    return txn_audit(txn, &change->arena, outcome, &change->audit, fault);
}

/* False only if the transaction cannot go on. */
static bool change_run(struct store_txn *txn, struct change *change, struct fault *fault)
{
    enum answer_state state = ANSWER_NEW;

    if (change->idempotent && !txn_answer_find(txn, change, &state, fault))
        return false;
    if (state == ANSWER_REPLAYED) {
        change->replayed = change->ok = true;
        return true;
    }
    if (state == ANSWER_OTHER_REQUEST)
        change->ok = fault_set(&change->fault, FAULT_UNPROCESSABLE,
                               "This Idempotency-Key was used before with another request.");
    else if (!change_apply(txn, change, fault))
        return false;
    if (change->render)
        change->render(change);
    if (!change_record(txn, change, fault))
        return false;
    if (change->idempotent && state == ANSWER_NEW && change->answer.keep)
        return txn_answer_keep(txn, change, fault);
    return true;
}

/* ---- the transaction ---- */

enum {
    WITH_SAVEPOINTS = 64, /* batches after the last one in which a change failed late */
    EXPIRE_MIN = 64,
    EXPIRE_INTERVAL_MS = 1000,
};

/* Every batch takes away at least as many answers as it may have added, so that they cannot pile up. */
static bool expire_answers(struct ledger *ledger, struct store_txn *txn, size_t changes, struct fault *fault)
{
    int64_t max = EXPIRE_MIN + 2 * (int64_t)changes, deleted, mono_ms = clock_mono_ms();

    if (mono_ms < ledger->expire_again_ms)
        return true;
    if (!txn_answers_expire(txn, max, &deleted, fault))
        return false;
    ledger->expire_again_ms = deleted == max ? mono_ms : mono_ms + EXPIRE_INTERVAL_MS;
    return true;
}

static bool expire_events(struct ledger *ledger, struct store_txn *txn, struct fault *fault)
{
    int64_t max = EXPIRE_MIN + 2 * (int64_t)txn->event_count, deleted, mono_ms = clock_mono_ms();

    if (mono_ms < ledger->expire_events_again_ms)
        return true;
    if (!txn_events_expire(txn, &ledger->event_bounds, max, &deleted, fault))
        return false;
    ledger->expire_events_again_ms = deleted == max ? mono_ms : mono_ms + EXPIRE_INTERVAL_MS;
    return true;
}

static bool transaction_run(struct ledger *ledger, struct store_txn *txn, struct change *first, struct fault *fault)
{
    size_t changes = 0;

    if (!database_run(txn->db, SQL_BEGIN_WRITE, fault)) /* unchecked, the changes would run outside of it */
        return false;
    for (struct change *c = first; c; c = c->next)
        c->drafted = c->audit;
    for (struct change *c = first; c; c = c->next, changes++)
        if (!txn_take_time(txn, fault) || !change_run(txn, c, fault))
            return false;
    if (txn->head.seq != ledger->head.seq && !seal_write(txn->db, ledger->audit_key, &txn->head, fault))
        return false;
    return txn_attempts_keep(txn, fault) && expire_answers(ledger, txn, changes, fault) &&
           expire_events(ledger, txn, fault) && database_run(txn->db, SQL_COMMIT, fault);
}

/* Returns SQLite's reason why it must be dropped. */
static int transaction_drop(struct database *db)
{
    int error = sqlite3_extended_errcode(db->handle);

    if (!sqlite3_get_autocommit(db->handle))
        (void)!database_run(db, SQL_ROLLBACK, &(struct fault){0}); /* fails only if SQLite has done it itself */
    return error;
}

/* SQLITE_OK, or why not. */
static int probe_run(struct database *db, struct fault *fault)
{
    if (database_run(db, SQL_BEGIN_WRITE, fault) && database_run(db, SQL_PROBE, fault) &&
        database_run(db, SQL_COMMIT, fault))
        return SQLITE_OK;
    return transaction_drop(db);
}

/* A COMMIT whose frames are written but could not be synced is undone for us, and yet whoever opens the database after a crash finds
 * it whole in the WAL. Whatever is written next stands in its place; so something is, before anybody is told that nothing happened.
 * False: not even that could be written. */
static bool is_erased(struct database *db)
{
    int error = probe_run(db, &(struct fault){0});

    return error == SQLITE_OK || error == SQLITE_IOERR_FSYNC;
}

/* What a change said before the commit failed is not true. */
static void change_undo(struct change *change, const struct fault *cause, bool certain)
{
    static const char NOT_MADE[] = "The change could not be written and was not made: %s Try again.",
                      UNKNOWN[] = "The change could not be written, and whether it was made shows when the disk is "
                                  "well again: %s Look before you try again, or repeat it with its Idempotency-Key.";

    change->ok = change->replayed = false;
    change->answer = (struct stored_answer){0};
    change->fault = (struct fault){0};
    fault_unavailable(&change->fault, cause->retry_after_s ? cause->retry_after_s : 5, certain ? NOT_MADE : UNKNOWN,
                      cause->message);
    fault_detail(&change->fault, "%s", cause->detail);
    if (change->render)
        change->render(change);
}

static struct store_txn transaction_of(struct ledger *ledger, bool with_savepoints)
{
    return (struct store_txn){
        .db = ledger->db,
        .now_ms = ledger->latest_ms,
        .taken = ledger->taken,
        .head = ledger->head,
        .ids = &ledger->ids,
        .looker = ledger->looker,
        .events = ledger->events,
        .event_cap = ledger->event_cap,
        .idempotency_ttl_s = ledger->idempotency_ttl_s,
        .unfinished_jobs_max = ledger->unfinished_jobs_max,
        .with_savepoints = with_savepoints,
    };
}

/* What it came to is kept if it was committed. */
static void transaction_leave(struct ledger *ledger, const struct store_txn *txn, bool committed)
{
    ledger->events = txn->events; /* may have grown */
    ledger->event_cap = txn->event_cap;
    ledger->event_count = committed ? txn->event_count : 0;
    if (!committed)
        return;
    ledger->head = txn->head;
    ledger->latest_ms = txn->now_ms;
    ledger->taken = txn->taken;
    ledger->clock_back_ms = txn->clock_back_ms;
}

static void changes_begin_again(struct change *first)
{
    for (struct change *c = first; c; c = c->next) {
        c->audit = c->drafted;
        c->ok = c->replayed = false;
        c->answer = (struct stored_answer){0};
        c->fault = (struct fault){0};
    }
}

/* A savepoint for each change costs an eighth of the writer's time: every page that is touched is copied. Changes that fail after they have
 * written something are rare; where one does, all begin again, with savepoints, and batches have them until none failed so for a while: whoever
 * makes such changes slows down nobody twice. */
static bool transaction_try(struct ledger *ledger, struct change *first, struct fault *cause)
{
    bool with_savepoints = ledger->savepoints_left > 0;
    struct store_txn txn = transaction_of(ledger, with_savepoints);
    bool ok = transaction_run(ledger, &txn, first, cause);

    if (txn.failed_late && !with_savepoints) {
        transaction_leave(ledger, &txn, false);
        transaction_drop(ledger->db);
        changes_begin_again(first);
        txn = transaction_of(ledger, true);
        ok = transaction_run(ledger, &txn, first, cause);
    }
    if (txn.failed_late)
        ledger->savepoints_left = WITH_SAVEPOINTS;
    else if (with_savepoints)
        ledger->savepoints_left--;
    transaction_leave(ledger, &txn, ok);
    return ok;
}

bool batch_run(struct ledger *ledger, struct change *first, struct fault *fault)
{
    struct fault cause = {0};

    id_group_begin(&ledger->ids);
    if (transaction_try(ledger, first, &cause))
        return true;
    bool certain = transaction_drop(ledger->db) != SQLITE_IOERR_FSYNC || is_erased(ledger->db);
    for (struct change *c = first; c; c = c->next)
        change_undo(c, &cause, certain);
    *fault = cause;
    return false;
}

bool batch_probe(struct ledger *ledger, struct fault *fault)
{
    return probe_run(ledger->db, fault) == SQLITE_OK;
}
