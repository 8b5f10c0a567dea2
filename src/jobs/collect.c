/* Removing result files that no data node points to any more. Never anything but what lies in results/. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

enum {
    COLLECT_DELAY_MS = 10000, /* whoever just read the data node may be about to open its file */
    COLLECT_AT_ONCE = 32,
    COLLECT_STALLED_MS = 5000, /* a start that takes so long may have seen an older state */
};

void collect_add(struct jobs *jobs, const char *file)
{
    if (strncmp(file, "results/", 8) != 0 || strchr(file + 8, '/') || jobs->old_file_count >= OLD_FILES_MAX)
        return;
    struct old_file *old = xcalloc(1, sizeof *old);
    old->file = xstrdup(file);
    old->since_ms = clock_mono_ms();
    *jobs->old_files_end = old;
    jobs->old_files_end = &old->next;
    jobs->old_file_count++;
}

/* Does something that is under way here read the file? */
static bool is_read(struct jobs *jobs, const char *file)
{
    for (const struct attempt *attempt = jobs->attempts; attempt; attempt = attempt->next)
        for (size_t i = 0; attempt->started && i < attempt->started->input_count; i++)
            if (str_eq(attempt->started->inputs[i].file, file))
                return true;
    for (const struct reading *reading = jobs->readings; reading; reading = reading->next)
        if (str_eq(reading->file, file))
            return true;
    for (const struct publication *publication = jobs->publications; publication; publication = publication->next)
        if (str_eq(publication->file, file))
            return true;
    return false;
}

static bool starts_stall(struct jobs *jobs, int64_t now_ms)
{
    for (const struct attempt *attempt = jobs->attempts; attempt; attempt = attempt->next)
        if (attempt->phase == PHASE_STARTING && now_ms - attempt->started_ms > COLLECT_STALLED_MS)
            return true;
    return false;
}

static struct old_file *take_first(struct jobs *jobs)
{
    struct old_file *old = jobs->old_files;

    jobs->old_files = old->next;
    if (!jobs->old_files)
        jobs->old_files_end = &jobs->old_files;
    jobs->old_file_count--;
    return old;
}

static void old_file_free(struct old_file *old)
{
    free(old->file);
    free(old);
}

/* Unlinks it, unless a data node points to it. */
static bool remove_unused(struct jobs *jobs, const char *file, struct fault *fault)
{
    own(freep) char *path = jobs_storage_path(jobs, file);
    bool in_use = true;

    if (!store_file_in_use(jobs->reader, file, &in_use, fault))
        return false;
    if (!in_use && unlink(path) < 0 && errno != ENOENT)
        return fault_internal(fault, "%s cannot be removed: %s.", path, strerror(errno));
    return true;
}

void collect_step(struct jobs *jobs, int64_t now_ms)
{
    struct fault fault = {0};

    if (!jobs->old_files || starts_stall(jobs, now_ms))
        return;
    for (unsigned i = 0;
         i < COLLECT_AT_ONCE && jobs->old_files && now_ms - jobs->old_files->since_ms >= COLLECT_DELAY_MS; i++) {
        struct old_file *old = take_first(jobs);
        if (is_read(jobs, old->file))
            collect_add(jobs, old->file); /* later again */
        else if (!remove_unused(jobs, old->file, &fault))
            log_write(jobs->log, LOG_WARNING, "storage.collect", fault.message, L_STR("detail", fault.detail));
        old_file_free(old);
    }
}

bool collect_orphans(struct jobs *jobs, struct fault *fault)
{
    own(freep) char *folder = jobs_storage_path(jobs, "results");
    DIR *results = opendir(folder);
    bool ok = results != NULL;

    if (!results)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", folder, strerror(errno));
    for (struct dirent *entry; ok && (entry = readdir(results));) {
        if (entry->d_name[0] == '.')
            continue;
        own(freep) char *file = xprintf("results/%s", entry->d_name);
        ok = remove_unused(jobs, file, fault);
    }
    closedir(results);
    return ok;
}

void collect_done(struct jobs *jobs)
{
    while (jobs->old_files)
        old_file_free(take_first(jobs));
}
