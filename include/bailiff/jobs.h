/* Execution: the job thread, its link to the runner process, and the runner and keeper processes themselves.
 *
 * The job thread takes PENDING jobs in order, makes each RUNNING in the store, hands it to the runner, stores the outputs as immutable
 * files and ends the job. All states live in the store; what the thread remembers can be rebuilt from it. */
#ifndef BAILIFF_JOBS_H
#define BAILIFF_JOBS_H

#include <sys/types.h>

#include "bailiff/fault.h"
#include "bailiff/log.h"
#include "bailiff/model.h"
#include "bailiff/store.h"
#include "bailiff/ticket.h"

struct jobs_options {
    const char *storage_folder; /* the server's: results/, defaults/, logs/ are made in it */
    const char *socket_path;    /* an external runner's socket; NULL: start the runner as a child */
    const char *program;        /* this binary, for the child */
    const char *work_folder;    /* the child runner's */
    uid_t run_as_uid;           /* the child's user, if we are root; 0: the same */
    gid_t run_as_gid;
    bool allow_same_user;         /* execution.same_user: unsafe */
    const char *python, *package; /* interpreter, folder that holds bailiff_runner: absolute */
    const char *const
        *environment; /* "NAME=value": what users' code gets besides; of the child only. Must outlive the jobs */
    size_t environment_count;
    unsigned workers_max; /* attempts at once; 0: the manifest's, else one a core */
    uint64_t log_max_bytes, output_max_bytes;
    unsigned grace_ms;        /* between SIGTERM and SIGKILL */
    bool restart_lost;        /* lost attempts and jobs found RUNNING at start begin again; else FAILED */
    unsigned attempts_max;    /* of lost attempts of one job */
    bool stop_fails;          /* what runs when the server stops is FAILED; else it becomes PENDING again */
    unsigned submitter_limit; /* attempts of one submitter at once; 0: no limit */
    unsigned silence_max_ms;  /* a runner that does not answer for so long is given up; 0: two minutes */
    struct log *log;
};

struct jobs;
/* Connects to (or starts) the runner. Nothing runs yet. */
must_check bool jobs_new(const struct jobs_options *options, struct jobs **ret_jobs, struct fault *fault);
/* Has the runner read an application (.toml), checks the manifest, copies the defaults into storage. Blocking; before jobs_start.
 * `errors` gets every complaint as "file:line: message\n". */
must_check bool jobs_load(struct jobs *jobs, const char *application, struct manifest **ret_manifest,
                          struct text *errors, struct fault *fault);
/* Recovers the store's jobs and starts the thread. The manifest must outlive it. */
must_check bool jobs_start(struct jobs *jobs, struct store *store, const struct manifest *manifest,
                           struct fault *fault);
void jobs_stop(
    struct jobs *
        jobs); /* starts nothing more; what runs is ended and becomes what stop_fails says; joins the thread; NULL ok */
void jobs_free(struct jobs *jobs);
/* Nothing begins any more, what runs goes on: the first part of a stop that lets jobs end. Any thread. */
void jobs_hold(struct jobs *jobs);
/* As the store says (txn_queue_set), once it is durable there; in its order. Any thread. */
void jobs_set_paused(struct jobs *jobs, bool paused);

/* The store's on_jobs (arg is the struct jobs). */
void jobs_on_events(void *jobs, const struct job_event *events, size_t count);

/* Completes the ticket when the job has ended, or after timeout_ms. Any thread. */
void jobs_wait(struct jobs *jobs, const char *job_id, unsigned timeout_ms, struct ticket *ticket);

/* Reads a data node's value as JSON: the ticket's payload becomes a struct data_reading. TOO_MANY: this reader has its share of what can be
 * read at once; readers take turns. Any thread. */
struct data_reading {
    bool ok;
    struct fault fault; /* INVALID: bad filter; UNPROCESSABLE…: see kind */
    int fd;             /* of a JSON document, size bytes, already unlinked; closed with the payload */
    uint64_t size;
};
must_check bool jobs_read_data(struct jobs *jobs, const struct data_node *data_node,
                               const uint8_t reader[static SUBMITTER_SIZE], const char *filter_json,
                               struct ticket *ticket, struct fault *fault);

/* Log of a job's latest attempt: opens it for reading. NOT_FOUND if it wrote nothing. Any thread. */
must_check bool jobs_open_log(struct jobs *jobs, const struct job *job, int *ret_fd, struct fault *fault);

/* The job was deleted: the logs of its attempts are removed. Any thread. NULL ok. */
void jobs_forget(struct jobs *jobs, const char *job_id, int attempts);

struct jobs_health {
    bool runner_connected, same_user;
    bool paused, holding;
    unsigned running, queued; /* queued: PENDING, those that are to be retried later included */
    unsigned active;          /* attempts that are not over: RUNNING, or about to be, or being stored */
    unsigned workers;
};
void jobs_get_health(struct jobs *jobs, struct jobs_health *ret_health); /* any thread */

/* ---- the other processes; each returns an exit status ---- */
struct runner_options {
    int socket_fd; /* connected to the server (child); -1: listen on socket_path */
    const char *socket_path;
    const char *work_folder;
    const char *program; /* this binary, for keepers */
    uid_t server_uid;    /* peer that may connect; ignored with socket_fd */
    uid_t run_as_uid;    /* --uid, --gid: whom to become first of all; 0: nobody else */
    gid_t run_as_gid;
    const char *const *environment; /* "NAME=value": passed on to whatever runs users' code */
    size_t environment_count;
    void (*listening)(void); /* called once it can be reached at socket_path; NULL: nobody wants to know */
    struct log *log;
};
int runner_run(const struct runner_options *options);
int keeper_run(void); /* descriptor 3 is the runner */

#endif
