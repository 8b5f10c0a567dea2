#include "store/answers.h"
#include "store/txn.h"

static bool answer_row(struct query *q, struct arena *arena, uint8_t ret_request[static 32],
                       struct stored_answer *ret_answer, struct fault *fault)
{
    const void *request = sqlite3_column_blob(q->statement, 0);

    if (!request || sqlite3_column_bytes(q->statement, 0) != 32)
        return fault_internal(fault, "an answer was kept without its request");
    memcpy(ret_request, request, 32);
    const void *body = sqlite3_column_blob(q->statement, 4);
    size_t body_len = (size_t)sqlite3_column_bytes(q->statement, 4);
    *ret_answer = (struct stored_answer){
        .status = (int)query_column_int(q, 2),
        .headers = query_column_text(q, 3, arena),
        .body = arena_strndup(arena, body, body_len),
        .body_len = body_len,
        .keep = true,
    };
    return true;
}

bool answer_find(struct database *db, const uint8_t key[static 32], int64_t now_ms, unsigned ttl_s, struct arena *arena,
                 uint8_t ret_request[static 32], struct stored_answer *ret_answer, bool *ret_found, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_ANSWER_BY_KEY);

    query_blob(&q, key, 32);
    switch (query_step(&q)) {
    case QUERY_ROW:
        break;
    case QUERY_DONE:
        *ret_found = false;
        return true;
    default:
        return query_fault(&q, fault);
    }
    if (query_column_int(&q, 1) + (int64_t)ttl_s * 1000 <= now_ms) {
        *ret_found = false;
        return true;
    }
    *ret_found = true;
    return answer_row(&q, arena, ret_request, ret_answer, fault);
}

bool txn_answer_find(struct store_txn *txn, struct change *change, enum answer_state *ret_state, struct fault *fault)
{
    struct stored_answer answer;
    uint8_t request[32];
    bool found;

    if (!answer_find(txn->db, change->idempotency_key, txn->now_ms, txn->idempotency_ttl_s, &change->arena, request,
                     &answer, &found, fault))
        return false;
    *ret_state = ANSWER_NEW;
    if (found && memcmp(request, change->idempotency_request, sizeof(request)) == 0) {
        change->answer = answer;
        *ret_state = ANSWER_REPLAYED;
    } else if (found) {
        *ret_state = ANSWER_OTHER_REQUEST;
    }
    return true;
}

bool txn_answer_keep(struct store_txn *txn, const struct change *change, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_ANSWER_ADD);

    query_blob(&q, change->idempotency_key, sizeof(change->idempotency_key));
    query_blob(&q, change->idempotency_request, sizeof(change->idempotency_request));
    query_int(&q, txn->now_ms);
    query_int(&q, change->answer.status);
    query_text(&q, change->answer.headers);
    query_blob(&q, change->answer.body, change->answer.body_len);
    return query_run(&q, fault);
}

bool txn_answers_expire(struct store_txn *txn, int64_t max, int64_t *ret_deleted, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_ANSWERS_EXPIRE);

    query_int(&q, txn->now_ms - (int64_t)txn->idempotency_ttl_s * 1000);
    query_int(&q, max);
    if (!query_run(&q, fault))
        return false;
    *ret_deleted = sqlite3_changes(txn->db->handle);
    return true;
}
