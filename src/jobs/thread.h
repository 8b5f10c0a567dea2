/* What the job thread remembers. Everything here belongs to it, once it runs, but for what is said to be shared;
 * before jobs_start it belongs to the thread that starts up. All of it can be rebuilt from the store. */
#ifndef JOBS_THREAD_H
#define JOBS_THREAD_H

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bailiff/jobs.h"
#include "jobs/link.h"
#include "jobs/message.h"
#include "jobs/mover.h"
#include "jobs/queue.h"

enum {
    BACKLOG_MAX = 64,                 /* attempts that have ended and are not stored yet, beyond those that run */
    READS_MAX = 64,                   /* data nodes being read */
    READS_OF_ONE_MAX = READS_MAX / 2, /* by one reader: another finds a place */
    PUBLISH_AT_ONCE = 16,
    OLD_FILES_MAX = 65536, /* beyond it they are found at the next start */
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 30000,
    WORKERS_MAX = 1024,
};

/* ---- the runner, seen from here (client.c, child.c) ---- */
enum client_state {
    CLIENT_DOWN,
    CLIENT_GREETING,
    CLIENT_READY, /* it said hello: nothing that an earlier runner started is alive */
};
struct client {
    enum client_state state;
    struct link link;
    pid_t pid;   /* of our child; 0: none, or it is not ours */
    uid_t uid;   /* the runner's: files that it hands over must be this user's */
    gid_t group; /* whose members may read inputs */
    int64_t runner_pid;
    char *work;          /* its work folder */
    int folder;          /* the same, opened */
    unsigned generation; /* counts connections */
    unsigned failures;
    int64_t retry_ms, deadline_ms, kill_ms;
    int64_t lost_ms;            /* when the connection was lost while attempts ran; 0: not */
    int64_t heard_ms, asked_ms; /* when it last said anything; since when it owes an answer, 0: it does not */
};

/* ---- attempts ---- */
enum attempt_phase {
    PHASE_STARTING, /* the transition to RUNNING is on its way to the disk */
    PHASE_RUNNING,  /* the runner has it */
    PHASE_STORING,  /* its outputs are being copied */
    PHASE_ENDING,   /* the transition to its end is on its way to the disk */
    PHASE_UNSTORED, /* storing or ending failed: it is tried again later */
};
struct attempt {
    struct attempt *next;
    struct jobs *jobs;
    char job_id[ENTITY_ID_SIZE];
    int64_t job_seq;
    struct lane *lane; /* in whose limits it counts until its end is stored */
    bool again;        /* the job is PENDING once more: it waits anew when this attempt is forgotten */
    int64_t again_ms;  /* from when on; 0: at once */
    enum attempt_phase phase;
    struct change *start;      /* owns what `started` points to */
    struct job_start *started; /* NULL: not yet */
    int64_t number, started_ms;
    unsigned generation; /* of the connection that has it */
    bool cancel;         /* the user asked for it */
    bool cancel_sent;
    int log;
    uint64_t logged;
    bool log_failed;
    struct arena arena; /* of `end` */
    struct job_end end;
    struct job_output *outputs;
    bool stored;   /* outputs are on the disk */
    bool foldered; /* the runner made a folder for it */
    unsigned failures;
    int64_t retry_ms;
};

struct wait {
    struct parcel parcel;
    struct jobs *jobs;
    struct ticket *ticket;
    int64_t deadline_ms;
    struct wait *next;
    char job_id[ENTITY_ID_SIZE];
};

struct reading {
    struct parcel parcel;
    struct jobs *jobs;
    struct ticket *ticket;
    struct reading *next;
    unsigned place; /* in jobs->read_places */
    uint64_t round; /* the lowest is next */
    int64_t number; /* 0: it waits for its turn */
    int64_t deadline_ms;
    char *file; /* below storage, or NULL: must not be collected meanwhile */
    char *storage_type, *path, *properties, *filter;
    bool moving; /* its result is being copied */
};

struct publication {
    struct publication *next;  /* the newest is the last */
    struct publication *after; /* of the same path, not done yet: the newest value must be the one that stays */
    struct jobs *jobs;
    char *data_node_id, *file, *path;
    int64_t number, retry_ms; /* number 0: not asked for yet */
    unsigned failures;
    bool committing;
};

struct old_file {
    struct old_file *next;
    int64_t since_ms;
    char *file;
};

struct jobs {
    struct jobs_options options; /* its strings are copies */
    struct arena arena;
    struct log *log;
    struct store *store;
    struct store_reader *reader;
    const struct manifest *manifest;
    unsigned workers;

    pthread_t thread;
    bool started, stopping;
    int64_t stop_ms; /* when what still runs is left to its fate */
    int wake;
    struct inbox *inbox;
    pthread_mutex_t gate; /* shared: guards `closed` */
    bool closed;
    pthread_mutex_t reads_lock; /* shared: guards `read_places` */
    struct read_place {
        bool taken;
        uint8_t reader[SUBMITTER_SIZE];
    } read_places[READS_MAX];
    atomic_uint running, queued; /* shared */
    atomic_bool connected, same_user, paused, holding;
    atomic_uint active; /* attempt_count, for others to see */

    struct client client;
    struct mover *mover;
    unsigned in_flight;                    /* changes and moves whose completion will come to the inbox */
    struct change *changes, **changes_end; /* not yet with the store */
    int64_t changes_us;                    /* since when the first of them has waited */
    unsigned starts_waiting, ends_waiting; /* how many of them are attempts' */

    struct attempt *attempts;
    unsigned attempt_count, occupied;
    struct queue *queue; /* PENDING jobs */
    int64_t dispatch_ms;
    unsigned dispatch_failures;
    unsigned unstarted; /* attempts in a row for which the runner's machine had no room */

    int64_t arrivals_ms, arrivals_seq, arrivals_slow_seq;
    unsigned arrivals_told; /* changes that are on their way */

    struct wait *waits[256];
    size_t wait_count;
    int64_t waits_checked_ms;
    struct reading *readings; /* the oldest is the first */
    uint64_t reads_round;     /* of the one that was sent last */
    struct publication *publications;
    struct old_file *old_files, **old_files_end;
    size_t old_file_count;
    DIR *log_sweep; /* NULL: done */
    int64_t last_request;

    struct { /* a load under way, before the thread runs */
        int64_t number;
        bool answered;
        struct answer answer;
    } load;
};

int64_t jobs_backoff(unsigned *failures, int64_t now_ms); /* counts one more; when to try again */
bool jobs_post(struct jobs *jobs, struct parcel *parcel); /* false: nobody will deliver it any more */
char *jobs_storage_path(struct jobs *jobs, const char *file);

/* thread.c */
void *jobs_thread(void *jobs);

/* client.c */
must_check bool client_open(struct jobs *jobs, struct fault *fault);
/* Runs the connection until `done` says so: before the thread runs. */
must_check bool client_pump(struct jobs *jobs, bool (*done)(const struct jobs *jobs), int64_t timeout_ms,
                            struct fault *fault);
bool client_greeted(const struct jobs *jobs);
void client_hear(struct jobs *jobs);
void client_step(struct jobs *jobs, int64_t now_ms);
void client_send(struct jobs *jobs, struct text *json); /* a message that is known to fit */
void client_number(struct jobs *jobs, const char *op, const char *what, int64_t number); /* {"op":op, what:number} */
void client_broken(struct jobs *jobs, const struct fault *fault);
void client_close(struct jobs *jobs); /* and waits until a child has gone */
/* child.c */
must_check bool child_spawn(struct jobs *jobs, int *ret_fd, struct fault *fault);
void child_reap(struct jobs *jobs);

/* dispatch.c */
must_check bool dispatch_load(struct jobs *jobs,
                              struct fault *fault); /* what waits in the store; before the thread runs */
void dispatch_event(struct jobs *jobs, const struct job_event *event);
void dispatch(struct jobs *jobs, int64_t now_ms);

/* attempt.c */
void attempt_begin(struct jobs *jobs, struct queue_place *place);
struct attempt *attempt_of_job(struct jobs *jobs, const char *job_id);
struct attempt *attempt_numbered(struct jobs *jobs, int64_t number);
void attempt_cancel(struct attempt *attempt);
void attempt_ended(struct attempt *attempt, const struct answer *answer);
void attempt_lost(struct attempt *attempt, const char *why);
void attempt_failed(struct attempt *attempt, enum failure_cause cause, const char *error);
void attempts_connection_lost(struct jobs *jobs); /* those of an earlier connection are certainly dead now */
void attempts_step(struct jobs *jobs, int64_t now_ms);
/* attempt_end.c */
void attempt_finish(struct attempt *attempt, enum job_status status, const char *error);
void attempt_free(struct attempt *attempt);
/* attempt_log.c */
void attempt_log(struct attempt *attempt, struct span bytes);
char *attempt_log_path(struct jobs *jobs, const char *job_id, int attempt);
/* start_message.c */
must_check bool start_message(struct attempt *attempt, struct text *json, struct fault *fault);
const char *node_path(struct jobs *jobs, struct arena *arena, const struct data_node *node);

/* arrivals.c */
void arrivals_step(struct jobs *jobs, int64_t now_ms);

/* waits.c */
void waits_job_ended(struct jobs *jobs, const char *job_id);
void waits_step(struct jobs *jobs, int64_t now_ms);
void waits_done(struct jobs *jobs);
int64_t waits_timeout(const struct jobs *jobs, int64_t now_ms); /* -1: none */

/* reading.c */
void readings_answered(struct jobs *jobs, const struct answer *answer);
void readings_unavailable(struct jobs *jobs, const char *why);
void readings_step(struct jobs *jobs, int64_t now_ms);

/* publish.c */
void publish_add(struct jobs *jobs, const char *data_node_id, const char *file, const char *path);
must_check bool publish_recover(struct jobs *jobs, struct fault *fault);
void publish_answered(struct jobs *jobs, const struct answer *answer);
void publish_connection_lost(struct jobs *jobs);
void publish_step(struct jobs *jobs, int64_t now_ms);
void publish_done(struct jobs *jobs);

/* collect.c */
void collect_add(struct jobs *jobs, const char *file);
void collect_step(struct jobs *jobs, int64_t now_ms);
must_check bool collect_orphans(struct jobs *jobs, struct fault *fault);
void collect_done(struct jobs *jobs);

/* old_logs.c */
void old_logs_begin(struct jobs *jobs);
void old_logs_step(struct jobs *jobs);
void old_logs_done(struct jobs *jobs);

/* changes.c: a change whose completion comes back to the job thread */
struct transition {
    struct parcel parcel;
    struct jobs *jobs;
    void *subject;
    void (*finished)(struct jobs *jobs, void *subject, struct change *change); /* owns the change */
    struct change *change;
};
/* Fills done; the change is taken over, and goes to the store with the next flush. A store that refuses it lets it
 * finish as failed. */
void transition_submit(struct jobs *jobs, struct change *change, void *subject,
                       void (*finished)(struct jobs *jobs, void *subject, struct change *change));
void transitions_flush(struct jobs *jobs);

#endif
