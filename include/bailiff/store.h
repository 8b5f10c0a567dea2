/* The store: one SQLite database, one writer thread, a reader for each loop. The only module that knows SQL.
 *
 * Every change is a function that the writer runs inside its transaction, and undoes alone if it fails, together with the
 * change's audit record and, where there is one, its idempotency row. The writer drains its queue into one transaction, commits with
 * synchronous=FULL, and only then tells anybody. What was acknowledged is on disk. */
#ifndef BAILIFF_STORE_H
#define BAILIFF_STORE_H

#include "bailiff/audit.h"
#include "bailiff/fault.h"
#include "bailiff/log.h"
#include "bailiff/model.h"

struct store;
struct store_reader;
struct store_txn; /* the writer's open transaction; only inside change.apply */

/* A job's status as it became durable. */
struct job_event {
    int64_t seq;
    char job_id[ENTITY_ID_SIZE];
    char task_config_id[CONFIG_ID_MAX + 1];
    uint8_t submitter[SUBMITTER_SIZE];
    enum job_status status, before; /* before: SUBMITTED for a new one */
    bool cancel_requested;
    int64_t revision;
    int64_t retry_delay_ms; /* PENDING: it is not to begin before */
};

struct store_options {
    const char *folder;         /* made 0700 if missing; holds bailiff.db, audit.key, lock, backups/ */
    unsigned queue_max;         /* requests' changes waiting; beyond it UNAVAILABLE. 0: 4096 */
    unsigned batch_max;         /* changes in one transaction. 0: 256 */
    unsigned idempotency_ttl_s; /* 0: 86400 */
    unsigned events_max;        /* kept for streams that resume; 0: 1,000,000 */
    unsigned events_ttl_s;      /* kept so long at most; 0: 604800 */
    unsigned probe_interval_ms; /* how often a disk that refuses is tried again. 0: 1000 */
    unsigned log_pages_max;     /* while the database file refuses, changes go on until its log has so many. 0: 65536 */
    unsigned unfinished_jobs_max; /* of one subject of an issuer; beyond it TOO_MANY. 0: no limit */
    struct log *log;
    /* Called by the writer thread after each COMMIT that changed jobs; must be quick and must not submit synchronously. */
    void (*on_jobs)(void *arg, const struct job_event *events, size_t count);
    void *on_jobs_arg;
};

/* Locks the folder (CONFLICT: another server has it), opens or makes the database, refuses one of a newer version,
 * backs up and migrates an older one, proves the last 1,000 records of the audit chain and the seal of its end (INVALID: somebody
 * changed it, or audit.key is missing; it is not continued), starts the writer. */
must_check bool store_open(const struct store_options *options, struct store **ret_store, struct fault *fault);
/* Finishes what is queued, checkpoints, unlocks; NULL ok. Readers must be closed before; submits during it are UNAVAILABLE. */
void store_close(struct store *store);
/* The folder's lock alone, for subcommands that work while no server runs. */
must_check bool store_lock(const char *folder, int *ret_fd, struct fault *fault);
/* False if changes cannot be written now (full disk, I/O error); says why. Recovers by itself when writing works again. Any thread. */
must_check bool store_healthy(struct store *store, struct fault *fault);
/* True if changes are written and safe, but not for ever: the database file refuses, and its log grows. Any thread. */
must_check bool store_strained(struct store *store, struct fault *ret_why);
size_t store_queue_length(struct store *store); /* any thread; for limits and health */
/* The end of the audit chain on disk; any thread. Told elsewhere, in a log for example, it proves later that nothing before it was
 * changed or cut off. */
void store_audit_head(struct store *store, struct audit_walk *ret_head);
const uint8_t *
store_secret(const struct store *store); /* 32 bytes made once a database: cursors are authenticated with it */

/* ---- changes ---- */
enum change_class {
    CHANGE_REQUEST, /* bounded by queue_max */
    CHANGE_REFUSAL, /* audit of refusals: may use a quarter of queue_max, so that a flood leaves room for work */
    CHANGE_JOB, /* the job thread's own transitions and the server's own records: never refused here, but while the disk
                       refuses their done gets UNAVAILABLE: keep them and try again after a while */
};

struct stored_answer { /* what a client is told; opaque to the store */
    int status;
    const char *headers; /* "Name: value\n" each; or NULL */
    const char *body;
    size_t body_len;
    bool keep; /* store it for the Idempotency-Key */
};

struct change {
    struct arena arena; /* owns everything that the change points to */
    enum change_class class;
    /* Runs on the writer; false undoes what it did (and nothing else). It may be that all of that is undone and it runs once more, so what it
     * does outside of the transaction must not add up. NULL: only the audit record. */
    bool (*apply)(struct store_txn *txn, struct change *change, struct fault *fault);
    void *input, *outcome; /* apply's own */
    bool audited;          /* write `audit` (outcome: done, failed, or as `refused` says) */
    bool refused;
    struct audit_draft audit; /* apply and render may still fill target, detail, status */
    /* Runs on the writer after apply, either way and each time, with `ok` and `fault` set; fills `answer` (and audit.status). Or NULL. If the commit
     * fails it runs a second time, with an empty answer, ok false and UNAVAILABLE. */
    void (*render)(struct change *change);
    struct stored_answer answer;
    bool idempotent;                 /* the next two are set */
    uint8_t idempotency_key[32];     /* digest of issuer, subject, method, path and key */
    uint8_t idempotency_request[32]; /* digest of the request */
    bool replayed;      /* the answer is an earlier one's (ok is true); apply and render did not run, nothing was
                                        recorded */
    bool ok;            /* apply succeeded and the commit too */
    struct fault fault; /* otherwise */
    /* Writer thread, after COMMIT or its failure: takes the change over. */
    void (*done)(struct change *change);
    void *done_arg;
    struct audit_draft drafted; /* the store's: `audit` before apply and render */
    struct change *next;        /* the store's; before store_submit_all the caller's */
};
struct change *change_new(void);
void change_free(void *change); /* NULL ok; void * so that it can free a ticket's payload */
/* Queues the change and takes it over; on failure (UNAVAILABLE: full, or the store cannot write) it stays the caller's. Any thread. */
must_check bool store_submit(struct store *store, struct change *change, struct fault *fault);
/* The same for several changes, linked by `next`: they are queued together or not at all, and what is queued together
 * is written in one transaction, as far as it fits into one. */
must_check bool store_submit_all(struct store *store, struct change *first, struct fault *fault);
/* Waits for the commit: for start-up, subcommands and tests. The change stays the caller's. */
must_check bool store_submit_wait(struct store *store, struct change *change, struct fault *fault);

/* ---- inside a transaction: each checks the scope; results live in `arena` ---- */
/* One time for the whole change. Never before the previous one's, unless the clock was set back by more than five minutes: then it is
 * the clock's. The order of rows is that of their seq. */
int64_t txn_now_ms(const struct store_txn *txn);

struct task_creation {
    const struct manifest *manifest;
    const struct task_config *config;
    const char *created_by;
    bool reuse; /* give back the unowned task of the same configuration and version if there is one (api.wire: taipy) */
};
/* A data node of scope SCENARIO is new and the task's alone; CYCLE (there is no cycle without a scenario) and GLOBAL ones are shared by
 * configuration and version. It begins written if it has a default file, or a path at which there is a file. */
must_check bool txn_create_task(struct store_txn *txn, const struct scope *scope, const struct task_creation *creation,
                                struct arena *arena, struct task *ret_task, struct fault *fault);
/* if_match: revision that must still be current (PRECONDITION otherwise); -1: any. CONFLICT while it has an unfinished job.
 * Its data nodes and finished jobs stay. */
must_check bool txn_delete_task(struct store_txn *txn, const struct scope *scope, const char *id, int64_t if_match,
                                struct fault *fault);
struct task_submission {
    const char *id; /* of the task */
    bool force;
    const char *submitted_by;
    uint8_t submitter[SUBMITTER_SIZE]; /* see struct job */
    const struct manifest *manifest;   /* whose controls the job gets; NULL: none */
    struct controls controls;          /* what goes before them */
};
/* Makes a submission and its job, takes the locks on the outputs; the job is PENDING, or BLOCKED while an input is unwritten or
 * will be written by an earlier unfinished job. (The path of the user's own is looked at for an input that was never written.) */
must_check bool txn_submit_task(struct store_txn *txn, const struct scope *scope, const struct task_submission *what,
                                struct arena *arena, struct task *ret_task, struct job *ret_job,
                                struct submission *ret_submission, struct fault *fault);
/* A new task (as txn_create_task) with a job of its own in SUBMITTED: it runs when it is submitted, until then it locks nothing. */
must_check bool txn_create_job(struct store_txn *txn, const struct scope *scope, const struct task_creation *creation,
                               struct arena *arena, struct task *ret_task, struct job *ret_job,
                               struct submission *ret_submission, struct fault *fault);
/* SUBMITTED → PENDING or BLOCKED, as txn_submit_task, but that what->id is the job's; CONFLICT if it is not SUBMITTED any more. It keeps
 * its place, which is that of its creation: it waits for what earlier jobs will write, and later ones wait for it. */
must_check bool txn_submit_job(struct store_txn *txn, const struct scope *scope, const struct task_submission *what,
                               struct arena *arena, struct task *ret_task, struct job *ret_job,
                               struct submission *ret_submission, struct fault *fault);
/* With its submission, if that has no other job; CONFLICT while it is unfinished, or its results are on their way to a user's own path.
 * if_match as in txn_delete_task. *ret_attempts: how many it had; their logs are the caller's to remove. */
must_check bool txn_delete_job(struct store_txn *txn, const struct scope *scope, const char *id, int64_t if_match,
                               int *ret_attempts, struct fault *fault);
/* SUBMITTED, BLOCKED, PENDING → CANCELED at once (its dependents ABANDONED: BLOCKED jobs that came later and have an input that it
 * would have written, and earlier ones if that input is unwritten and nobody else will write it; and theirs). RUNNING: marks it, *ret_job is still RUNNING, and
 * the job event says cancel_requested. CONFLICT when it had ended. */
must_check bool txn_cancel_job(struct store_txn *txn, const struct scope *scope, const char *id, struct arena *arena,
                               struct job *ret_job, struct fault *fault);

struct job_start {          /* what an executor needs */
    bool skipped;           /* the job became SKIPPED instead */
    int64_t attempt_number; /* unique in this database, rising */
    struct job job;
    struct task task;
    struct data_node *inputs, *outputs; /* in the task's order */
    size_t input_count, output_count;
};
/* PENDING → RUNNING (attempt counted) or → SKIPPED. CONFLICT if it is not PENDING any more; UNAVAILABLE while the queue is paused. */
must_check bool txn_start_job(struct store_txn *txn, const char *id, const char *worker, struct arena *arena,
                              struct job_start *ret_start, struct fault *fault);

struct job_output {
    const char *data_node_id;
    const char *file; /* new immutable file below the storage folder */
    bool
        publish; /* the data node has a path of the user's own: an intent is stored, its lock stays until txn_published */
};
/* What becomes of a job whose process was lost, where its own controls do not say. */
struct loss_rules {
    bool restart;          /* it begins again; else it is FAILED */
    unsigned attempts_max; /* that may be lost; then it is FAILED all the same. 0: no limit */
};
struct job_end {
    const char *job_id;
    int attempt; /* must be the current one, else CONFLICT: a late message of an earlier attempt changes nothing */
    enum job_status status; /* COMPLETED, FAILED, CANCELED, or PENDING: interrupted by us, it begins again */
    bool final;             /* FAILED: whatever its controls say */
    struct failure failure; /* its exit code and signal are kept, however it ended */
    struct loss_rules losses;
    uint32_t random; /* for the delay of a retry */
    const char *error, *stacktrace;
    const struct job_output *outputs; /* COMPLETED: one for each output of the task */
    size_t output_count;
};
/* RUNNING → its end: data nodes, locks, submission and dependents (BLOCKED → PENDING, or ABANDONED) in the same transaction. An attempt
 * that FAILED may be retried: then the job is PENDING, keeps its locks, and its row says not before when. A job whose
 * cancellation was asked for and that would begin again becomes CANCELED. *ret_job is as it was left; its texts live in the arena. */
must_check bool txn_end_job(struct store_txn *txn, const struct job_end *end, struct arena *arena, struct job *ret_job,
                            struct fault *fault);
/* The file is at the data node's path now: the value counts as written, the lock goes, waiting jobs go on. CONFLICT: no such intent. */
must_check bool txn_published(struct store_txn *txn, const char *data_node_id, const char *file, struct fault *fault);
/* A file that the data node's path leads to, and that jobs wait for, is there now: it counts as written, and they go on. Nothing happens if it
 * is not, or was written meanwhile. */
must_check bool txn_file_arrived(struct store_txn *txn, int64_t data_node_seq, struct fault *fault);
/* At start, when no attempt is alive: RUNNING jobs were lost, and become PENDING or FAILED as their controls, or the rules, say;
 * cancel-requested ones → CANCELED; locks without an unfinished job or intent are removed; BLOCKED jobs are looked at anew. */
must_check bool txn_recover_jobs(struct store_txn *txn, const struct loss_rules *rules, unsigned *ret_restarted,
                                 unsigned *ret_failed, struct fault *fault);

/* Whether anything begins at all: RUNNING jobs go on, PENDING ones wait. As it is already: nothing changes but who said so, and why. */
struct queue_state {
    bool paused;
    int64_t changed_at_ms; /* 0: never */
    const char *changed_by, *reason;
};
must_check bool txn_queue_set(struct store_txn *txn, bool paused, const char *by, const char *reason,
                              struct arena *arena, struct queue_state *ret, struct fault *fault);

/* Revokes. What was revoked already stays so, and is extended if `what` goes further (*ret_new false). `what` says neither seq nor id. */
must_check bool txn_revoke(struct store_txn *txn, const struct scope *scope, const struct revocation *what,
                           struct arena *arena, struct revocation *ret, bool *ret_new, struct fault *fault);
must_check bool txn_unrevoke(struct store_txn *txn, const struct scope *scope, const char *id, struct arena *arena,
                             struct revocation *ret, struct fault *fault);

/* ---- reading: a reader belongs to one thread ---- */
must_check bool store_reader_open(struct store *store, struct store_reader **ret_reader, struct fault *fault);
void store_reader_free(struct store_reader *reader); /* NULL ok */
/* Ends the read transaction that the first read of this loop turn began. Call it once a turn, before completions are handled,
 * so that a client sees its own write. */
void store_reader_turn_end(struct store_reader *reader);

must_check bool store_find_task(struct store_reader *reader, const struct scope *scope, const char *id,
                                struct arena *arena, struct task *ret_task, struct fault *fault);
must_check bool store_find_job(struct store_reader *reader, const struct scope *scope, const char *id,
                               struct arena *arena, struct job *ret_job, struct fault *fault);
must_check bool store_find_submission(struct store_reader *reader, const struct scope *scope, const char *id,
                                      struct arena *arena, struct submission *ret_submission, struct fault *fault);
/* parent_ids: the first 1,000 of them. */
must_check bool store_find_data_node(struct store_reader *reader, const struct scope *scope, const char *id,
                                     struct arena *arena, struct data_node *ret_data_node, struct fault *fault);

enum list_sort { SORT_CREATED, SORT_ID, SORT_CONFIG_ID };
struct list_query {
    enum list_sort sort;
    bool descending;
    const char *config_id, *owner_id, *version;  /* NULL: any */
    const char *task_id, *submission_id;         /* of jobs */
    const char *entity_id;                       /* of submissions */
    int status;                                  /* enum job_status, of submissions enum submission_status; -1: any */
    unsigned statuses;                           /* any of these instead: 1u << each; 0: not said */
    int64_t created_after_ms, created_before_ms; /* exclusive; 0: any */
};
struct list_position { /* where a list stands; zeroed at the start; plain data, so that a cursor can carry it */
    int64_t last_seq;  /* highest seq of this list: fixed by the first step, so that a list under writes ends */
    int64_t seq;       /* of the last row looked at */
    bool started, ended;
    char key
        [ENTITY_ID_SIZE]; /* the last row's sort key when sorting by text; last, so that other cursors go without it */
};
/* One step: looks at no more than rows_max rows behind *position, fills up to rows_max results, moves *position. A step may
 * yield nothing and yet not be the end. No read transaction outlives the loop turn. */
must_check bool store_list_tasks(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                                 struct list_position *position, size_t rows_max, struct arena *arena,
                                 struct task *ret_rows, size_t *ret_count, struct fault *fault);
must_check bool store_list_jobs(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                                struct list_position *position, size_t rows_max, struct arena *arena,
                                struct job *ret_rows, size_t *ret_count, struct fault *fault);
must_check bool store_list_submissions(struct store_reader *reader, const struct scope *scope,
                                       const struct list_query *query, struct list_position *position, size_t rows_max,
                                       struct arena *arena, struct submission *ret_rows, size_t *ret_count,
                                       struct fault *fault);
must_check bool store_list_data_nodes(struct store_reader *reader, const struct scope *scope,
                                      const struct list_query *query, struct list_position *position, size_t rows_max,
                                      struct arena *arena, struct data_node *ret_rows, size_t *ret_count,
                                      struct fault *fault);

/* In the order of creation; of the query only the times count. */
must_check bool store_list_revocations(struct store_reader *reader, const struct scope *scope,
                                       const struct list_query *query, struct list_position *position, size_t rows_max,
                                       struct arena *arena, struct revocation *ret_rows, size_t *ret_count,
                                       struct fault *fault);
/* All of a folder's, read beside whoever writes it. */
must_check bool store_each_revocation(const char *folder, void (*each)(void *arg, const struct revocation *row),
                                      void *arg, struct fault *fault);

must_check bool store_queue_state(struct store_reader *reader, struct arena *arena, struct queue_state *ret,
                                  struct fault *fault);

/* ---- events: what became of jobs, in the order of the commits ---- */
struct event {
    int64_t seq, time_ms;
    const char *job_id, *task_id, *task_config_id, *submission_id, *owner_id;
    enum job_status status;
    enum submission_status submission_status;
    int attempt;
    bool cancel_requested;
};
struct event_query {
    int64_t job_seq;                                 /* 0: of all jobs */
    const char *task_id, *config_id, *submission_id; /* NULL: any */
    int status;                                      /* enum job_status; -1: any */
};
struct event_step {
    int64_t position; /* in: what comes behind this seq is wanted; out: what is up to here was looked at */
    size_t rows_max;
    size_t count; /* out: rows filled */
    bool more;    /* out: there may be more at once */
    bool lost;    /* out: nothing follows `position` without a gap: older events are gone, or it is of another database.
                     Moved to the newest */
};
must_check bool store_read_events(struct store_reader *reader, const struct scope *scope,
                                  const struct event_query *query, struct event_step *step, struct arena *arena,
                                  struct event *ret_rows, struct fault *fault);
/* Positions before the oldest event that is kept, and of the newest; 0, 0: there are none. */
must_check bool store_event_ends(struct store_reader *reader, int64_t *ret_before, int64_t *ret_last,
                                 struct fault *fault);

/* NOT_FOUND: no such key. Else the stored answer and the digest of the request it belongs to. */
must_check bool store_find_answer(struct store_reader *reader, const uint8_t key[static 32], struct arena *arena,
                                  uint8_t ret_request[static 32], struct stored_answer *ret_answer,
                                  struct fault *fault);

/* For the job thread at start: jobs in PENDING, oldest first, from *after on; and publish intents. */
must_check bool store_next_pending(struct store_reader *reader, int64_t after_seq, size_t max, struct arena *arena,
                                   struct job *ret_rows, size_t *ret_count, struct fault *fault);
struct publish_intent {
    const char *data_node_id, *file, *path;
};
must_check bool store_publish_intents(struct store_reader *reader, struct arena *arena,
                                      struct publish_intent **ret_rows, size_t *ret_count, struct fault *fault);
must_check bool store_job_exists(struct store_reader *reader, const char *id, bool *ret_exists, struct fault *fault);
/* Unwritten data nodes with a path of the user's own that jobs wait for, behind after_seq, at most max. */
struct expected_file {
    int64_t data_node_seq;
    const char *path;
};
must_check bool store_expected_files(struct store_reader *reader, int64_t after_seq, size_t max, struct arena *arena,
                                     struct expected_file *ret_rows, size_t *ret_count, struct fault *fault);
/* Waits a second at most for its file system; false, too, if that does not answer. Any thread. */
bool store_file_is_there(struct store *store, const char *path);
/* Files below storage that some data node points to: for the collection of old ones. */
must_check bool store_file_in_use(struct store_reader *reader, const char *file, bool *ret_in_use, struct fault *fault);

/* Verifies the whole chain of a database file and the seal of its end, read-only, whether or not a server runs on it. INVALID: it is
 * broken, its end was cut off or is not the sealed one, the seal is forged, or audit.key is missing. */
struct audit_report {
    int64_t records, first_seq, last_seq;
    char head[2 * AUDIT_HASH_SIZE + 1];
};
must_check bool store_verify_audit(const char *folder, struct audit_report *ret_report, struct fault *fault);

#endif
