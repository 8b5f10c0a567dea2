/* How many unfinished jobs each subject has. Counted as they come and end, since counting them anew for every submit would cost the more
 * the more there are. */
#include "store/txn.h"

static struct query of_subject(struct store_txn *txn, enum sql sql, const char *subject)
{
    struct query q = query_begin(txn->db, sql);

    query_text(&q, txn->issuer ? txn->issuer : "");
    query_text(&q, subject);
    return q;
}

bool txn_load_room(struct store_txn *txn, const char *subject, int64_t job_seq, struct fault *fault)
{
    int64_t unfinished = 0;
    bool found;

    if (txn->unfinished_jobs_max == 0)
        return true;
    own(query_done) struct query q = of_subject(txn, SQL_LOAD, subject);
    query_int(&q, job_seq);
    if (!query_number(&q, &unfinished, &found, fault))
        return false;
    if (unfinished < txn->unfinished_jobs_max)
        return true;
    fault_set(fault, FAULT_TOO_MANY, "This subject has %u unfinished jobs, and may have no more; wait for some to end.",
              txn->unfinished_jobs_max);
    fault_detail(fault, "limits.subject.unfinished_jobs");
    fault->retry_after_s = LOAD_RETRY_S;
    return false;
}

bool txn_load_add(struct store_txn *txn, const char *subject, struct fault *fault)
{
    own(query_done) struct query q = of_subject(txn, SQL_LOAD_ADD, subject);

    return query_run_one(&q, fault);
}

bool txn_load_remove(struct store_txn *txn, int64_t job_seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_LOAD_REMOVE);

    query_int(&q, job_seq);
    return query_run_one(&q, fault);
}
