/* What the tests of jobs share: reading, and the events that were told. */
#ifndef STORE_JOBS_FIXTURE_H
#define STORE_JOBS_FIXTURE_H

#include "unit/store_fixture.h"

static inline struct data_node node_of(struct fixture *f, const char *id)
{
    struct data_node node = {0};

    store_reader_turn_end(f->reader);
    f->fault = (struct fault){0};
    if (!store_find_data_node(f->reader, &ALL, id, &f->arena, &node, &f->fault))
        fail_msg("%s", f->fault.message);
    return node;
}

static inline struct job job_of(struct fixture *f, const char *id)
{
    struct job job = {0};

    fixture_status(f, id);
    assert_true(store_find_job(f->reader, &ALL, id, &f->arena, &job, &f->fault));
    return job;
}

static inline const char *submission_status(struct fixture *f, const char *id)
{
    struct submission submission = {0};

    store_reader_turn_end(f->reader);
    assert_true(store_find_submission(f->reader, &ALL, id, &f->arena, &submission, &f->fault));
    return submission_status_name(submission.status);
}

/* The last events, oldest first, as "config:STATUS …". */
static inline const char *events_since(struct fixture *f, size_t first)
{
    struct text t = {0};
    const char *copy;

    pthread_mutex_lock(&f->lock);
    for (size_t i = first; i < f->event_count; i++)
        text_printf(&t, "%s%s:%s%s", i > first ? " " : "", f->events[i].task_config_id,
                    job_status_name(f->events[i].status), f->events[i].cancel_requested ? "!" : "");
    pthread_mutex_unlock(&f->lock);
    copy = arena_strdup(&f->arena, t.data ? t.data : "");
    text_done(&t);
    return copy;
}

static inline size_t event_count(struct fixture *f)
{
    size_t n;

    pthread_mutex_lock(&f->lock);
    n = f->event_count;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static inline bool cancel(struct fixture *f, const char *id)
{
    return fixture_apply(f, apply_cancel, &(struct cancel_input){.job_id = id});
}

struct recover_input {
    bool restart;
    unsigned attempts_max, restarted, failed;
};
static inline bool apply_recover(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct recover_input *in = change->input;
    const struct loss_rules rules = {in->restart, in->attempts_max};

    return txn_recover_jobs(txn, &rules, &in->restarted, &in->failed, fault);
}

#endif
