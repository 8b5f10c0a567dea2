/* The writer's open transaction, and what the changes inside it share. Writer thread only. */
#ifndef BAILIFF_STORE_TXN_H
#define BAILIFF_STORE_TXN_H

#include "bailiff/store.h"
#include "store/database.h"
#include "store/looker.h"

enum {
    CLOCK_BACK_MAX_MS = 300000, /* a clock that is behind by no more is waited for */
    CLOCK_AHEAD_MAX_MS = 300000 /* one that gained no more is believed */
};

struct store_txn {
    struct database *db;
    int64_t now_ms;
    struct clock_pair taken;
    int64_t clock_back_ms;  /* by how much the clock was set back before this transaction or during it; 0: it was not */
    struct audit_walk head; /* the chain as this transaction would leave it */
    struct job_event *events;
    size_t event_count, event_cap;
    unsigned idempotency_ttl_s, unfinished_jobs_max;
    int64_t attempt_number; /* the last one given; 0: none yet in this transaction */
    struct id_source *ids;  /* with this transaction's group */
    bool with_savepoints;   /* one for each change */
    bool failed_late;      /* a change failed after it had written something: without savepoints all must begin again */
    struct looker *looker; /* at users' files */
    const char *issuer;    /* of whose change is being applied; NULL: nobody's */
};

/* ---- audit and idempotency (chain.c, answers.c) ---- */
/* Appends a record behind txn->head. */
must_check bool txn_audit(struct store_txn *txn, struct arena *arena, enum audit_outcome outcome,
                          struct audit_draft *draft, struct fault *fault);
enum answer_state { ANSWER_NEW, ANSWER_REPLAYED, ANSWER_OTHER_REQUEST };
must_check bool txn_answer_find(struct store_txn *txn, struct change *change, enum answer_state *ret_state,
                                struct fault *fault);
must_check bool txn_answer_keep(struct store_txn *txn, const struct change *change, struct fault *fault);
/* Deletes expired answers among the `max` oldest. */
must_check bool txn_answers_expire(struct store_txn *txn, int64_t max, int64_t *ret_deleted, struct fault *fault);

/* ---- events (events.c) ---- */
struct event_bounds { /* how many are kept */
    int64_t max, ttl_ms;
};
/* Deletes what is beyond the bounds among the `max` oldest. */
must_check bool txn_events_expire(struct store_txn *txn, const struct event_bounds *bounds, int64_t max,
                                  int64_t *ret_deleted, struct fault *fault);
must_check bool txn_events_forget(struct store_txn *txn, int64_t job_seq, struct fault *fault);

/* ---- time (time.c) ---- */
/* The next change's time. */
must_check bool txn_take_time(struct store_txn *txn, struct fault *fault);

/* ---- data nodes (data_nodes.c) ---- */
must_check bool txn_data_node_touch(struct store_txn *txn, int64_t data_node_seq, struct fault *fault);
must_check bool txn_data_node_written(struct store_txn *txn, int64_t data_node_seq, int64_t time_ms, const char *file,
                                      struct fault *fault);

/* ---- submitting (submit.c) ---- */
struct submission txn_submission_of_task(const struct store_txn *txn, const struct task *task, const char *submitted_by,
                                         struct arena *arena);
struct job txn_job_of_task(const struct store_txn *txn, const struct task *task, const struct submission *submission,
                           enum job_status status, struct arena *arena);
/* How it is to be run, and for whom. */
void txn_job_agree(struct job *job, const struct task_submission *what);
/* Both rows; the submission's status and job_ids follow from its only job. */
must_check bool txn_submission_add(struct store_txn *txn, struct submission *submission, struct job *job,
                                   struct arena *arena, struct fault *fault);
must_check bool txn_lock_outputs(struct store_txn *txn, const struct task *task, int64_t job_seq, struct fault *fault);
must_check bool txn_wait_for_inputs(struct store_txn *txn, const struct task *task, int64_t job_seq,
                                    struct arena *arena, struct fault *fault);

/* ---- how many unfinished jobs a subject has (load.c) ---- */
enum { LOAD_RETRY_S = 5 };
/* May the change's issuer's subject have one more? TOO_MANY: it has its share. To be asked before anything is written: a change that fails
 * later makes its whole batch begin again. job_seq: the unfinished job that is to be its own and may be so already; 0: a new one. */
must_check bool txn_load_room(struct store_txn *txn, const char *subject, int64_t job_seq, struct fault *fault);
/* One more. */
must_check bool txn_load_add(struct store_txn *txn, const char *subject, struct fault *fault);
must_check bool txn_load_remove(struct store_txn *txn, int64_t job_seq, struct fault *fault);

/* Writes down how far attempts were numbered. */
must_check bool txn_attempts_keep(struct store_txn *txn, struct fault *fault);
must_check bool txn_queue_open(struct store_txn *txn, struct fault *fault); /* UNAVAILABLE: it is paused (pause.c) */

/* ---- jobs (transitions.c, dependents.c) ---- */
struct seq_list { /* of rows' seq; own(seq_list_done) */
    int64_t *items;
    size_t count, cap;
};
void seq_list_done(struct seq_list *list);
void seq_list_add(struct seq_list *list, int64_t seq);
must_check bool seq_list_read(struct query *q, struct seq_list *list,
                              struct fault *fault); /* appends all rows' first column */

/* Tells of the job as it stands: a row for streams of events, and what on_jobs is called with after the commit. */
must_check bool txn_job_event(struct store_txn *txn, const struct job *job, enum job_status before,
                              struct fault *fault);
/* Stores *job as it stands, as its next revision, with the event; if its status changed from `before`, the transition must
 * be legal. */
must_check bool txn_job_store(struct store_txn *txn, struct job *job, enum job_status before, struct fault *fault);
/* The job ended without result, as stored: frees its outputs and makes the jobs that waited for them ABANDONED, and so on. */
must_check bool txn_jobs_abandon(struct store_txn *txn, int64_t job_seq, struct fault *fault);
/* The data node is there now, or nobody will write it any more: jobs that waited and can go on become PENDING. */
must_check bool txn_jobs_unblock(struct store_txn *txn, const struct seq_list *data_nodes, struct fault *fault);
/* The same for a file of the user's own that is there now and was not before. */
must_check bool txn_user_file_seen(struct store_txn *txn, int64_t data_node_seq, struct fault *fault);
/* Is all there that the job was put down to wait for? Adds to `seen` the data nodes whose file is seen now for the first time: for
 * txn_jobs_unblock, once the job itself is stored. */
must_check bool txn_job_is_ready(struct store_txn *txn, int64_t job_seq, struct seq_list *seen, bool *ret_ready,
                                 struct fault *fault);
must_check bool txn_waits_remove(struct store_txn *txn, int64_t job_seq, struct fault *fault);
must_check bool txn_job_examine(struct store_txn *txn, int64_t job_seq, struct fault *fault);
/* A job whose attempt failed: fills in what becomes of it (failures.c). */
void job_begin_again(struct job *job); /* PENDING: nothing of the attempt that was is left */
void job_settle_failure(const struct store_txn *txn, const struct failure *failure, const struct loss_rules *rules,
                        uint32_t random, struct arena *arena, struct job *job);
must_check bool txn_unlock(struct store_txn *txn, int64_t data_node_seq, int64_t job_seq, struct fault *fault);

#endif
