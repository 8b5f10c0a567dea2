#include "store/txn.h"

bool txn_data_node_touch(struct store_txn *txn, int64_t data_node_seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_DATA_NODE_TOUCH);

    query_int(&q, data_node_seq);
    return query_run_one(&q, fault);
}

bool txn_data_node_written(struct store_txn *txn, int64_t data_node_seq, int64_t time_ms, const char *file,
                           struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_DATA_NODE_WRITTEN);

    query_int(&q, data_node_seq);
    query_int(&q, time_ms);
    query_text(&q, file);
    return query_run_one(&q, fault);
}
