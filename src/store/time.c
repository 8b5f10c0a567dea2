/* The time of changes. The order of rows is that of seq; created_at only follows it as long as the clock does. */
#include "bailiff/clock.h"
#include "store/txn.h"

static bool set_back(struct store_txn *txn, enum sql sql, int64_t by_ms, int64_t now_ms, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, sql);

    query_int(&q, by_ms);
    query_int(&q, now_ms);
    return query_run(&q, fault);
}

/* Keeping the time of a clock that had run ahead would stamp every record with it until the true time gets there: years, perhaps.
 * Lists must know where time went back. What is compared with the clock later on, to expire or to be skipped, goes back too; what a
 * row says about its own creation stays. */
static bool clock_was_set_back(struct store_txn *txn, int64_t now_ms, struct fault *fault)
{
    int64_t by_ms = txn->now_ms - now_ms;

    if (!database_run(txn->db, SQL_CLOCK_BACK_ADD, fault) || !set_back(txn, SQL_EDITS_SET_BACK, by_ms, now_ms, fault) ||
        !set_back(txn, SQL_ANSWERS_SET_BACK, by_ms, now_ms, fault))
        return false;
    txn->clock_back_ms = by_ms;
    txn->now_ms = now_ms;
    return true;
}

/* More time went by on the wall than did: kept answers are no older for it, or a request that is repeated would be executed twice. */
static bool clock_was_set_ahead(struct store_txn *txn, int64_t by_ms, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_ANSWERS_SET_AHEAD);

    query_int(&q, by_ms);
    return query_run(&q, fault);
}

bool txn_take_time(struct store_txn *txn, struct fault *fault)
{
    int64_t now_ms = clock_wall_ms(), mono_ms = clock_mono_ms();
    int64_t gained_ms = now_ms - txn->taken.wall_ms - (mono_ms - txn->taken.mono_ms);

    txn->taken = (struct clock_pair){now_ms, mono_ms};
    if (gained_ms > CLOCK_AHEAD_MAX_MS && !clock_was_set_ahead(txn, gained_ms, fault))
        return false;
    if (txn->now_ms > now_ms + CLOCK_BACK_MAX_MS)
        return clock_was_set_back(txn, now_ms, fault);
    txn->now_ms = MAX(now_ms, txn->now_ms);
    return true;
}
