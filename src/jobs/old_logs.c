/* Removing the logs of jobs that were deleted. What a crash left behind is found after the next start, a few files a turn. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "jobs/thread.h"

enum { SWEEP_A_TURN = 64 };

struct forgotten {
    struct parcel parcel;
    struct jobs *jobs;
    int attempts;
    char job_id[ENTITY_ID_SIZE];
};

static void remove_log(struct jobs *jobs, const char *path)
{
    if (unlink(path) < 0 && errno != ENOENT)
        log_write(jobs->log, LOG_WARNING, "storage.collect", "The log of a deleted job cannot be removed.",
                  L_STR("file", path), L_STR("detail", strerror(errno)));
}

static void forget_deliver(struct parcel *parcel)
{
    struct forgotten *forgotten = container_of(parcel, struct forgotten, parcel);

    for (int attempt = 1; attempt <= forgotten->attempts; attempt++) {
        own(freep) char *path = attempt_log_path(forgotten->jobs, forgotten->job_id, attempt);
        remove_log(forgotten->jobs, path);
    }
    free(forgotten);
}

void jobs_forget(struct jobs *jobs, const char *job_id, int attempts)
{
    if (!jobs || attempts == 0)
        return;
    struct forgotten *forgotten = xcalloc(1, sizeof *forgotten);
    forgotten->parcel.deliver = forget_deliver;
    forgotten->jobs = jobs;
    forgotten->attempts = attempts;
    snprintf(forgotten->job_id, sizeof forgotten->job_id, "%s", job_id);
    if (!jobs_post(jobs, &forgotten->parcel))
        free(forgotten); /* the next start finds them */
}

/* ---- after a start ---- */

void old_logs_begin(struct jobs *jobs)
{
    own(freep) char *folder = jobs_storage_path(jobs, "logs");

    jobs->log_sweep = opendir(folder);
}

void old_logs_done(struct jobs *jobs)
{
    if (jobs->log_sweep)
        closedir(jobs->log_sweep);
    jobs->log_sweep = NULL;
}

/* "<job id>-<attempt>.log"; anything else in the folder is not ours. */
static bool job_of_log(const char *name, char job_id[static ENTITY_ID_SIZE])
{
    const char *dash = strrchr(name, '-');
    size_t len = dash ? (size_t)(dash - name) : 0;
    int attempt, end = 0;

    if (len == 0 || len > ENTITY_ID_MAX || sscanf(dash + 1, "%9d.log%n", &attempt, &end) != 1 || end == 0 ||
        dash[1 + end] != '\0')
        return false;
    memcpy(job_id, name, len);
    job_id[len] = '\0';
    return entity_id_valid(span_of(job_id));
}

static bool look_at(struct jobs *jobs, const char *name, struct fault *fault)
{
    char job_id[ENTITY_ID_SIZE];
    bool exists = true;

    if (!job_of_log(name, job_id))
        return true;
    if (!store_job_exists(jobs->reader, job_id, &exists, fault))
        return false;
    if (exists)
        return true;
    own(freep) char *file = xprintf("logs/%s", name);
    own(freep) char *path = jobs_storage_path(jobs, file);
    remove_log(jobs, path);
    return true;
}

void old_logs_step(struct jobs *jobs)
{
    struct fault fault = {0};

    for (unsigned i = 0; i < SWEEP_A_TURN && jobs->log_sweep; i++) {
        const struct dirent *entry = readdir(jobs->log_sweep);
        if (entry && look_at(jobs, entry->d_name, &fault))
            continue;
        if (entry)
            log_write(jobs->log, LOG_WARNING, "storage.collect", fault.message, L_STR("detail", fault.detail));
        old_logs_done(jobs);
    }
}
