/* The rules of job and submission statuses. */
#include "bailiff/model.h"

bool job_status_final(enum job_status s)
{
    return s == JOB_CANCELED || s == JOB_FAILED || s == JOB_COMPLETED || s == JOB_SKIPPED || s == JOB_ABANDONED;
}

#define TO(status) (1u << (status))

static const unsigned transitions[JOB_STATUS_COUNT] = {
    [JOB_SUBMITTED] = TO(JOB_BLOCKED) | TO(JOB_PENDING) | TO(JOB_CANCELED) | TO(JOB_ABANDONED),
    [JOB_BLOCKED] = TO(JOB_PENDING) | TO(JOB_CANCELED) | TO(JOB_ABANDONED),
    [JOB_PENDING] = TO(JOB_BLOCKED) | TO(JOB_RUNNING) | TO(JOB_SKIPPED) | TO(JOB_CANCELED) | TO(JOB_ABANDONED),
    [JOB_RUNNING] = TO(JOB_COMPLETED) | TO(JOB_FAILED) | TO(JOB_CANCELED) | TO(JOB_PENDING),
};

bool job_transition_legal(enum job_status from, enum job_status to)
{
    return (transitions[from] & TO(to)) != 0;
}

/* Taipy's derivation: the first of these statuses that any job has; completed only when nothing else is left. */
enum submission_status submission_status_of(const unsigned counts[static JOB_STATUS_COUNT])
{
    if (counts[JOB_FAILED] > 0)
        return SUBMISSION_FAILED;
    if (counts[JOB_CANCELED] > 0)
        return SUBMISSION_CANCELED;
    if (counts[JOB_RUNNING] > 0)
        return SUBMISSION_RUNNING;
    if (counts[JOB_PENDING] > 0)
        return SUBMISSION_PENDING;
    if (counts[JOB_BLOCKED] > 0)
        return SUBMISSION_BLOCKED;
    if (counts[JOB_SUBMITTED] > 0)
        return SUBMISSION_SUBMITTED;
    if (counts[JOB_ABANDONED] > 0)
        return SUBMISSION_UNDEFINED;
    return counts[JOB_COMPLETED] + counts[JOB_SKIPPED] > 0 ? SUBMISSION_COMPLETED : SUBMISSION_UNDEFINED;
}
