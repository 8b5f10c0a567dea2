/* The audit log's rows: appending in the transaction, proving the end at start and the whole on demand. */
#include "store/chain.h"
#include "store/rows.h"
#include "store/txn.h"

static bool audit_insert(struct store_txn *txn, const struct audit_record *record, const uint8_t *hash,
                         struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_AUDIT_ADD);

    query_int(&q, record->seq);
    query_int(&q, record->time_ms);
    query_text(&q, audit_outcome_name(record->outcome));
#define X(member, max) query_text(&q, record->draft.member);
    AUDIT_TEXTS(X)
#undef X
    query_int(&q, record->draft.status);
    query_int(&q, (int64_t)record->draft.count);
    query_blob(&q, txn->head.hash, AUDIT_HASH_SIZE);
    query_blob(&q, hash, AUDIT_HASH_SIZE);
#define X(member, max) query_text(&q, record->draft.member);
    AUDIT_TEXTS_2(X)
#undef X
    return query_run(&q, fault);
}

bool txn_audit(struct store_txn *txn, struct arena *arena, enum audit_outcome outcome, struct audit_draft *draft,
               struct fault *fault)
{
    struct audit_record record = {.seq = txn->head.seq + 1, .time_ms = txn->now_ms, .outcome = outcome};
    uint8_t hash[AUDIT_HASH_SIZE];

    audit_draft_clamp(draft, arena);
    record.draft = *draft;
    if (!audit_hash(txn->head.hash, &record, hash, fault) || !audit_insert(txn, &record, hash, fault))
        return false;
    txn->head.seq = record.seq;
    memcpy(txn->head.hash, hash, AUDIT_HASH_SIZE);
    return true;
}

static bool walk_rows(struct query *q, struct audit_walk *walk, bool trust_first, int64_t *ret_count,
                      struct fault *fault)
{
    struct arena arena = {0};
    enum query_result result;
    int64_t count = 0;
    bool ok = true;

    while (ok && (result = query_step(q)) == QUERY_ROW) {
        uint8_t previous[AUDIT_HASH_SIZE], hash[AUDIT_HASH_SIZE];
        struct audit_record record;

        ok = row_audit(q, &arena, &record, previous, hash, fault);
        if (ok && trust_first && count == 0 && record.seq > 1) { /* a walk that begins in the middle */
            walk->seq = record.seq - 1;
            memcpy(walk->hash, previous, AUDIT_HASH_SIZE);
        }
        ok = ok && audit_walk_step(walk, &record, previous, hash, fault);
        arena_done(&arena);
        count++;
    }
    if (ok && result == QUERY_ERROR)
        ok = query_fault(q, fault);
    if (ok)
        *ret_count = count;
    return ok;
}

bool chain_load_head(struct database *db, struct audit_walk *ret_head, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_AUDIT_TAIL);
    struct audit_walk head = {0};
    int64_t count;

    query_int(&q, CHAIN_TAIL_RECORDS);
    if (!walk_rows(&q, &head, true, &count, fault))
        return false;
    if (count < CHAIN_TAIL_RECORDS && head.seq != count)
        return fault_set(fault, FAULT_INVALID, "The audit chain is broken: its records before %lld are missing.",
                         (long long)head.seq - (long long)count + 1);
    *ret_head = head;
    return true;
}

static bool walk_page(struct database *db, int64_t after, struct audit_walk *walk, int64_t *ret_count,
                      struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_AUDIT_FROM);

    query_int(&q, after);
    query_int(&q, CHAIN_PAGE_RECORDS);
    return walk_rows(&q, walk, false, ret_count, fault);
}

/* The page and the seal in one read transaction: where the page is the last one, the seal belongs to its end, even while a
 * server goes on writing. */
static bool verify_page(struct database *db, int64_t after, struct chain_proof *proof, int64_t *ret_count,
                        struct fault *fault)
{
    bool ok = database_run(db, SQL_BEGIN_READ, fault) && walk_page(db, after, &proof->end, ret_count, fault) &&
              seal_read(db, &proof->seal, fault);

    if (!sqlite3_get_autocommit(db->handle))
        (void)!database_run(db, SQL_COMMIT, &(struct fault){0}); /* it only read */
    return ok;
}

bool chain_verify(struct database *db, struct chain_proof *ret, struct fault *fault)
{
    int64_t count, after = INT64_MIN; /* what stands before record 1 is found, too */
    struct chain_proof proof = {0};

    do {
        if (!verify_page(db, after, &proof, &count, fault))
            return false;
        proof.records += count;
        after = proof.end.seq;
    } while (count == CHAIN_PAGE_RECORDS);
    *ret = proof;
    return true;
}
