/* The keeper process: looks after one thing at a time that the users' code does, and answers only when nothing of it
 * is left.
 *
 * It is a child subreaper with a worker (a Python process that lives on between attempts) or a command below it.
 * Between the runner, which may send `cancel` at any time, and processes that may do anything at all, it is a small
 * state machine. One thread. */
#ifndef JOBS_KEEPER_H
#define JOBS_KEEPER_H

#include "jobs/descendants.h"
#include "jobs/link.h"
#include "jobs/message.h"

enum {
    KEEPER_READ_TIMEOUT_MS = 60000,
    KEEPER_LOCK_TIMEOUT_MS = 60000,
    KEEPER_GRACE_MAX_MS = 600000,
    KEEPER_QUEUE_MAX = 262144,  /* bytes to the runner; above it the job's output waits in its pipe */
    KEEPER_TEXT_MAX = 262144,   /* of a stack trace */
    KEEPER_EXCEPTIONS_MAX = 32, /* names passed on, each of at most so many bytes */
    KEEPER_EXCEPTION_BYTES_MAX = 200,
};

enum keeper_state {
    KEEPER_IDLE,
    KEEPER_LOCKING, /* an earlier attempt of the job may still be alive */
    KEEPER_RUNNING,
    KEEPER_ENDING, /* the outcome stands; what is left of the attempt is being ended */
};

struct child {
    pid_t pid;   /* 0: none */
    int output;  /* its stdout and stderr; -1: closed */
    int holding; /* the pipe's other end: without it a command's exit would wake the keeper twice */
};

struct outcome {
    enum attempt_result result;
    bool exited, signaled;
    int exit_code, signal;
    char *error, *stacktrace, *kind; /* kind: of a failed read */
    json_t *exceptions;              /* names of classes, or NULL */
};

struct keeper {
    struct link runner;
    struct census census;
    struct census_mark clean; /* when it was last certain that nothing but the worker was alive */
    int signals, null;
    int scope;    /* what each child is confined to; -1: the kernel cannot */
    int locks;    /* each job's attempts have a byte of this file, locked while one of them is alive */
    int presence; /* held open for its lock: by it the next runner finds keepers that are still ending theirs */
    char *python, *package, *work;
    char *folder; /* of commands that are given none */
    uint64_t log_max;

    struct child worker, command;
    struct link worker_link;
    bool worker_spent; /* ends with the attempt */

    enum keeper_state state;
    struct request request; /* what it is doing */
    struct outcome outcome;
    bool locked;
    int64_t deadline_ms; /* of LOCKING and RUNNING; 0: none */
    int64_t hangup_ms;   /* the worker closed its connection: by then it should have exited */
    int64_t kill_ms;     /* ENDING: until then only SIGTERM was sent; 0: SIGKILL at once */
    unsigned rounds;     /* of ENDING */
    bool gone;           /* ENDING: no descendant is left; output remains to be read */
    int64_t drain_left;
    uint64_t logged;
    bool log_cut;
};

/* keeper_attempt.c: what happens to the attempt */
void keeper_start(struct keeper *keeper, struct request *request); /* start or read; takes the request over */
void keeper_cancel(struct keeper *keeper, int64_t attempt);
void keeper_unlock(struct keeper *keeper); /* nothing of the attempt is alive */
void keeper_child_exited(struct keeper *keeper, pid_t pid, int status);
void keeper_worker_hear(struct keeper *keeper); /* reads what the worker says */
void keeper_step(struct keeper *keeper, int64_t now_ms);
int keeper_timeout(const struct keeper *keeper, int64_t now_ms); /* for poll */
/* Decides the outcome (once: the first cause is the true one) and begins to end what is left. error and stacktrace
 * may be NULL. */
void keeper_conclude(struct keeper *keeper, enum attempt_result result, const char *error, const char *stacktrace);

/* keeper_ending.c */
void keeper_end_step(struct keeper *keeper, int64_t now_ms);
void keeper_end_everything(struct keeper *keeper); /* blocking; the runner is gone */

/* keeper_children.c */
must_check bool keeper_run_command(struct keeper *keeper, struct fault *fault);
must_check bool keeper_run_worker(struct keeper *keeper, struct fault *fault);
void keeper_forget_worker(struct keeper *keeper);
void keeper_close_output(struct child *child);

/* keeper_output.c */
struct child *keeper_speaker(struct keeper *keeper); /* whose output is read now; NULL: nobody's */
void keeper_read_output(struct keeper *keeper);

/* keeper_publish.c */
void keeper_publish(struct keeper *keeper, const struct request *request);

void keeper_reply(struct keeper *keeper, struct text *json); /* to the runner */
static inline bool keeper_is_reading(const struct keeper *keeper)
{
    return keeper->request.op == REQUEST_READ;
}

#endif
