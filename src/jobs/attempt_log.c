/* What an attempt wrote, as it wrote it, in a file of its own that is only made when there is something to write. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "jobs/thread.h"

enum { CUT_LINE_MAX = 80 }; /* the keeper's last line says that the rest was cut */

char *attempt_log_path(struct jobs *jobs, const char *job_id, int attempt)
{
    return xprintf("%s/logs/%s-%d.log", jobs->options.storage_folder, job_id, attempt);
}

static bool log_open(struct attempt *attempt)
{
    if (attempt->log >= 0)
        return true;
    own(freep) char *path = attempt_log_path(attempt->jobs, attempt->job_id, attempt->started->job.attempt);
    attempt->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return attempt->log >= 0;
}

void attempt_log(struct attempt *attempt, struct span bytes)
{
    uint64_t max = attempt->jobs->options.log_max_bytes + CUT_LINE_MAX;
    uint64_t room = max - MIN(attempt->logged, max);

    bytes.len = (size_t)MIN((uint64_t)bytes.len, room); /* the keeper cuts it, too, but it is not to be trusted */
    if (attempt->log_failed || bytes.len == 0)
        return;
    attempt->logged += bytes.len;
    if (log_open(attempt) && fd_write_all(attempt->log, bytes.data, bytes.len))
        return;
    attempt->log_failed = true; /* a job does not fail because its output cannot be kept */
    log_write(attempt->jobs->log, LOG_WARNING, "job.log", "The output of a job cannot be written.",
              L_STR("job", attempt->job_id), L_STR("detail", strerror(errno)));
}

bool jobs_open_log(struct jobs *jobs, const struct job *job, int *ret_fd, struct fault *fault)
{
    if (!entity_id_valid(span_of(job->id)))
        return fault_set(fault, FAULT_NOT_FOUND, "Job: %s does not exist.", job->id);
    own(freep) char *path = attempt_log_path(jobs, job->id, job->attempt);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return fault_set(fault, FAULT_NOT_FOUND, "Job %s has written no log.", job->id);
    if (fd < 0)
        return fault_internal(fault, "%s cannot be opened: %s.", path, strerror(errno));
    *ret_fd = fd;
    return true;
}
