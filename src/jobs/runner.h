/* The runner process: owns the work folder and a pool of keepers, and passes messages between them and the server.
 *
 * Its user is the users' code's, so the server trusts nothing that it says. It trusts its keepers only as far as each
 * speaks of the one thing that it was given to do. One thread, one poll loop.
 *
 *   <work>/lock                 held by the runner
 *   <work>/keepers.lock         shared by its keepers
 *   <work>/jobs.lock            each job has a byte in it, locked by the attempt that is alive
 *   <work>/attempts/<attempt>/  folder of an attempt, its outputs out-<index>
 *   <work>/attempts/keeper-<pid>/ folder of a keeper's commands that have no outputs
 *   <work>/reads/<request>      result of a read
 *   <work>/loads/<request>/     a manifest and its defaults
 *   <work>/home                 HOME of Python workers
 *   <work>/trash/               what is to be deleted, a bit each turn */
#ifndef JOBS_RUNNER_H
#define JOBS_RUNNER_H

#include "bailiff/jobs.h"
#include "jobs/descendants.h"
#include "jobs/folders.h"
#include "jobs/link.h"
#include "jobs/message.h"
#include "jobs/trash.h"

enum {
    RUNNER_WORKERS_MAX = 1024,
    RUNNER_ERRANDS_MAX = 256,   /* beyond it no read may wait for the one keeper that does them */
    RUNNER_QUEUE_MAX = 1 << 20, /* bytes to the server; above it keepers are not read */
    RUNNER_LOAD_TIMEOUT_MS = 110000,
    RUNNER_PUBLISH_TIMEOUT_MS = 600000,
    RUNNER_SLACK_MS = 10000, /* beyond its own limits a keeper is taken for dead */
};

enum slot_use { SLOT_IDLE, SLOT_ATTEMPT, SLOT_LOAD, SLOT_ERRAND };

struct slot {  /* a keeper */
    pid_t pid; /* 0: reaped */
    struct link link;
    char *folder; /* its own */
    struct folder_seal folder_seal;
    enum slot_use use;
    int64_t number; /* of the attempt or request */
    int64_t grace_ms;
    int64_t overdue_ms; /* when it must have answered; 0: never */
    bool for_errands;   /* reads and publications only, so that they never wait behind jobs */
    bool warm;          /* has a Python worker, most likely */
    bool canceled;
    bool publishing;
    bool dying; /* killed or gone; what it leaves behind is ended before the attempt counts as ended */
};

struct errand { /* a read or publication that waits */
    struct request request;
    struct errand *next;
};

struct runner {
    const struct runner_options *options;
    char *work;
    unsigned folder_mode;
    int lock, signals, listener, null;
    struct census census;
    struct trash trash;
    struct folders folders;

    struct link server;
    bool greeted, stopping;
    bool burying; /* what dead keepers left behind is being ended */
    char *python, *package;
    int64_t log_max;
    size_t workers_max;

    struct slot *slots[RUNNER_WORKERS_MAX + 1];
    size_t slot_count;
    struct errand *errands, **errands_end;
    size_t errand_count;
};

/* runner_setup.c */
must_check bool runner_setup(struct runner *runner, struct fault *fault);
must_check bool runner_listen(struct runner *runner, struct fault *fault);
must_check bool runner_accept(struct runner *runner, int *ret_fd,
                              struct fault *fault); /* *ret_fd -1: a stranger, or SIGTERM */

/* runner.c */
void slot_hear(struct runner *runner, struct slot *slot); /* reads what the keeper says; ends it if it misbehaves */

/* runner_slots.c */
must_check bool slot_take(struct runner *runner, bool for_errands, bool warm, struct slot **ret_slot,
                          struct fault *fault);
must_check bool slot_send(struct slot *slot, json_t *message, struct fault *fault);
must_check bool slot_forward(struct slot *slot, struct span message, struct fault *fault); /* JSON as it came */
void slot_rest(struct slot *slot);                                                         /* it answered */
void slot_end(struct runner *runner, struct slot *slot); /* kills it; runner_bury does the rest */
void slot_free(struct slot *slot);
void slots_close(struct runner *runner); /* tells all keepers to end; the server is gone */
void runner_reap(struct runner *runner);
/* Ends what dead keepers left behind, then answers for them. True while there are any. */
bool runner_bury(struct runner *runner);

/* runner_requests.c */
must_check bool runner_take_request(struct runner *runner, struct frame frame, struct fault *fault);
void runner_next_errand(struct runner *runner);
void errands_done(struct runner *runner);

/* runner_answers.c: to the server */
must_check bool runner_take_answer(struct runner *runner, struct slot *slot, struct frame frame, struct fault *fault);
void runner_reply(struct runner *runner, struct text *json);
void reply_lost(struct runner *runner, int64_t attempt, enum attempt_result result, const char *error);
void reply_not_read(struct runner *runner, const struct request *request, const char *error);
void reply_pong(struct runner *runner, int64_t number);
void reply_not_published(struct runner *runner, int64_t number, const char *error);
void reply_not_loaded(struct runner *runner, int64_t number, const char *file, const char *message);
void reply_for_dead(struct runner *runner, const struct slot *slot);

#endif
