/* Files of the users' own, which nobody tells us of when they come into being. */
#include "store/reader.h"
#include "store/store.h"
#include "store/txn.h"

bool store_expected_files(struct store_reader *reader, int64_t after_seq, size_t max, struct arena *arena,
                          struct expected_file *ret_rows, size_t *ret_count, struct fault *fault)
{
    if (!reader_enter(reader, fault))
        return false;
    own(query_done) struct query q = query_begin(reader->db, SQL_FILES_EXPECTED);
    enum query_result result;
    size_t count = 0;

    query_int(&q, after_seq);
    query_int(&q, (int64_t)max);
    while ((result = query_step(&q)) == QUERY_ROW && count < max)
        ret_rows[count++] = (struct expected_file){query_column_int(&q, 0), query_column_text(&q, 1, arena)};
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    *ret_count = count;
    return true;
}

bool store_file_is_there(struct store *store, const char *path)
{
    return looker_file_is_there(store->looker, path);
}

static bool is_there(struct store_txn *txn, int64_t data_node_seq, bool *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_FILE_EXPECTED);
    enum query_result result;

    query_int(&q, data_node_seq);
    result = query_step(&q);
    const char *path = result == QUERY_ROW ? (const char *)sqlite3_column_text(q.statement, 0) : NULL;
    *ret = path && looker_file_is_there(txn->looker, path);
    return result != QUERY_ERROR || query_fault(&q, fault);
}

bool txn_file_arrived(struct store_txn *txn, int64_t data_node_seq, struct fault *fault)
{
    bool there;

    if (!is_there(txn, data_node_seq, &there, fault))
        return false;
    return !there || txn_user_file_seen(txn, data_node_seq, fault);
}
