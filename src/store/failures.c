/* What becomes of a job whose attempt failed: another attempt, now or later, or the end. */
#include "store/txn.h"

void job_begin_again(struct job *job)
{
    job->status = JOB_PENDING;
    job->started_at_ms = job->ended_at_ms = 0;
    job->worker = NULL;
}

/* It begins again at once, unless it is perhaps the job that brings everything down. */
static bool settle_loss(const struct loss_rules *rules, struct arena *arena, struct job *job)
{
    enum lost_rule rule = job->controls.lost != LOST_UNSAID ? job->controls.lost
                          : rules->restart                  ? LOST_RESTART
                                                            : LOST_FAIL;

    job->losses++;
    if (rule == LOST_FAIL)
        return false;
    if (rules->attempts_max == 0 || job->losses < rules->attempts_max)
        return true;
    job->error = arena_printf(arena, "%s It was the last of %d attempts.", job->error ? job->error : "It was lost.",
                              job->attempt);
    return false;
}

void job_settle_failure(const struct store_txn *txn, const struct failure *failure, const struct loss_rules *rules,
                        uint32_t random, struct arena *arena, struct job *job)
{
    const struct retries *retries = &job->controls.retries;
    bool lost = failure->cause == CAUSE_LOST, again = lost && settle_loss(rules, arena, job);
    int64_t delay_ms = 0;

    if (!again && job->controls.has_retries && retries_allow(retries, job->retries, failure)) {
        delay_ms = retries_delay_ms(retries, job->retries, random);
        job->retries++;
        again = true;
    }
    job->status = JOB_FAILED;
    if (job->cancel_requested && (again || lost)) {
        job->status = JOB_CANCELED;
        job->error = job->stacktrace = NULL;
    } else if (again) {
        job_begin_again(job);
        job->retry_delay_ms = delay_ms;
        job->retry_at_ms = delay_ms > 0 ? txn->now_ms + delay_ms : 0;
    }
}
