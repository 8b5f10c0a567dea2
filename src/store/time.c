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

bool txn_take_time(struct store_txn *txn, struct fault *fault)
{
    int64_t now_ms = clock_wall_ms();

    if (txn->now_ms > now_ms + CLOCK_BACK_MAX_MS)
        return clock_was_set_back(txn, now_ms, fault);
    txn->now_ms = MAX(now_ms, txn->now_ms);
    return true;
}
