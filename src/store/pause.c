/* Whether anything begins at all. */
#include "store/reader.h"
#include "store/rows.h"
#include "store/txn.h"

static bool queue_read(struct database *db, struct arena *arena, struct queue_state *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_QUEUE_STATE);

    switch (query_step(&q)) {
    case QUERY_ROW:
        *ret = (struct queue_state){query_column_int(&q, 0) != 0, query_column_int(&q, 1),
                                    query_column_text(&q, 2, arena), query_column_text(&q, 3, arena)};
        return true;
    case QUERY_DONE:
        return fault_internal(fault, "the store does not say whether the queue is paused");
    default:
        return query_fault(&q, fault);
    }
}

bool store_queue_state(struct store_reader *reader, struct arena *arena, struct queue_state *ret, struct fault *fault)
{
    return reader_enter(reader, fault) && queue_read(reader->db, arena, ret, fault);
}

bool txn_queue_set(struct store_txn *txn, bool paused, const char *by, const char *reason, struct arena *arena,
                   struct queue_state *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_QUEUE_SET);

    query_int(&q, paused);
    query_int(&q, txn->now_ms);
    query_text(&q, by);
    query_text(&q, reason);
    return query_run_one(&q, fault) && queue_read(txn->db, arena, ret, fault);
}

bool txn_queue_open(struct store_txn *txn, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_QUEUE_PAUSED);
    int64_t one;
    bool paused = false;

    return query_number(&q, &one, &paused, fault) && (!paused || fault_unavailable(fault, 1, "The queue is paused."));
}
