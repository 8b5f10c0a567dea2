#include "bailiff/jobs.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "bailiff/thread.h"
#include "jobs/thread.h"

enum { GREETED_TIMEOUT_MS = 150000, STOP_MS = 15000 };

static void wake(void *arg)
{
    const struct jobs *jobs = arg;
    uint64_t one = 1;

    (void)!write(jobs->wake, &one, sizeof one); /* full means that it is awake */
}

bool jobs_post(struct jobs *jobs, struct parcel *parcel)
{
    pthread_mutex_lock(&jobs->gate);
    bool open = !jobs->closed;
    if (open)
        inbox_post(jobs->inbox, parcel);
    pthread_mutex_unlock(&jobs->gate);
    return open;
}

char *jobs_storage_path(struct jobs *jobs, const char *file)
{
    return xprintf("%s/%s", jobs->options.storage_folder, file);
}

/* Entered by the runner's group, listed by nobody else: names of files are no secret, but their list is nobody's
 * business. */
static bool storage_folder_make(struct jobs *jobs, const char *path, bool shared, struct fault *fault)
{
    if (!folder_make(path, 0700, fault))
        return false;
    if (!shared || jobs->client.group == 0)
        return true;
    if ((chown(path, (uid_t)-1, jobs->client.group) < 0 && errno != EPERM) || chmod(path, 0710) < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened to the runner's group: %s.", path, strerror(errno));
    return true;
}

static bool storage_make(struct jobs *jobs, struct fault *fault)
{
    const char *root = jobs->options.storage_folder;
    own(freep) char *results = jobs_storage_path(jobs, "results");
    own(freep) char *defaults = jobs_storage_path(jobs, "defaults");
    own(freep) char *logs = jobs_storage_path(jobs, "logs");

    return storage_folder_make(jobs, root, true, fault) && storage_folder_make(jobs, results, true, fault) &&
           storage_folder_make(jobs, defaults, true, fault) && storage_folder_make(jobs, logs, false, fault) &&
           mover_new(results, jobs->client.group, jobs->inbox, &jobs->mover, fault);
}

static void options_copy(struct jobs *jobs, const struct jobs_options *options)
{
    struct arena *arena = &jobs->arena;

    jobs->options = *options;
    jobs->options.storage_folder = arena_strdup(arena, options->storage_folder);
    jobs->options.socket_path = arena_strdup(arena, options->socket_path);
    jobs->options.program = arena_strdup(arena, options->program);
    jobs->options.work_folder = arena_strdup(arena, options->work_folder);
    jobs->options.python = arena_strdup(arena, options->python);
    jobs->options.package = arena_strdup(arena, options->package);
    jobs->log = options->log;
}

static bool options_check(const struct jobs_options *options, struct fault *fault)
{
    if (options->run_as_uid != 0 && geteuid() != 0)
        return fault_set(fault, FAULT_INVALID,
                         "Only root can run users' code as another user: start the server as root, "
                         "or run the runner on its own and set execution.socket.");
    if (options->storage_folder[0] != '/' || options->python[0] != '/' || options->package[0] != '/')
        return fault_set(fault, FAULT_INVALID, "The paths of storage, Python and package must be absolute.");
    return true;
}

/* Whom the runner will be is known before it runs when it is our child; storage is made for its group. */
static bool connect_runner(struct jobs *jobs, struct fault *fault)
{
    const struct jobs_options *options = &jobs->options;

    if (!options->socket_path)
        jobs->client.group = options->run_as_uid != 0 ? options->run_as_gid : 0;
    if (!options->socket_path && !storage_make(jobs, fault))
        return false;
    if (!client_open(jobs, fault))
        return false;
    return !options->socket_path || storage_make(jobs, fault);
}

bool jobs_new(const struct jobs_options *options, struct jobs **ret_jobs, struct fault *fault)
{
    if (!options_check(options, fault))
        return false;
    struct jobs *jobs = xcalloc(1, sizeof *jobs);
    options_copy(jobs, options);
    jobs->client.link.fd = jobs->client.folder = -1;
    jobs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    jobs->inbox = inbox_new(wake, jobs);
    jobs->queue = queue_new(0);
    jobs->old_files_end = &jobs->old_files;
    pthread_mutex_init(&jobs->gate, NULL);
    pthread_mutex_init(&jobs->reads_lock, NULL);
    if (jobs->wake < 0 ? fault_internal(fault, "eventfd: %s", strerror(errno))
                       : connect_runner(jobs, fault) && client_pump(jobs, client_greeted, GREETED_TIMEOUT_MS, fault)) {
        *ret_jobs = jobs;
        return true;
    }
    jobs_free(jobs);
    return false;
}

/* ---- start ---- */

struct recovery {
    struct loss_rules rules;
    unsigned restarted, failed;
};

/* Writer thread. */
static bool recover_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct recovery *recovery = change->input;

    return txn_recover_jobs(txn, &recovery->rules, &recovery->restarted, &recovery->failed, fault);
}

static bool recover(struct jobs *jobs, struct fault *fault)
{
    struct recovery recovery = {.rules = {jobs->options.restart_lost, jobs->options.attempts_max}};
    struct change *change = change_new();

    change->class = CHANGE_JOB;
    change->apply = recover_apply;
    change->input = &recovery;
    bool ok = store_submit_wait(jobs->store, change, fault);
    change_free(change);
    if (ok && (recovery.restarted > 0 || recovery.failed > 0))
        log_write(jobs->log, LOG_WARNING, "jobs.recovered", "Jobs were running when the server ended.",
                  L_INT("restarted", recovery.restarted), L_INT("failed", recovery.failed));
    return ok;
}

static unsigned worker_count(const struct jobs *jobs)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = jobs->options.workers_max;

    if (count == 0)
        count = jobs->manifest->workers;
    if (count == 0)
        count = cores > 0 ? (unsigned)cores : 1;
    return MIN(count, (unsigned)WORKERS_MAX);
}

static bool thread_start(struct jobs *jobs, struct fault *fault)
{
    int error = thread_begin(&jobs->thread, "jobs", jobs_thread, jobs);

    if (error != 0)
        return fault_unavailable(fault, 1, "A thread cannot be started: %s.", strerror(error));
    jobs->started = true;
    return true;
}

bool jobs_start(struct jobs *jobs, struct store *store, const struct manifest *manifest, struct fault *fault)
{
    jobs->store = store;
    jobs->manifest = manifest;
    jobs->workers = worker_count(jobs);
    /* The runner has greeted: nothing that ran before is alive. Only then may jobs that were RUNNING begin again. */
    if (!client_pump(jobs, client_greeted, GREETED_TIMEOUT_MS, fault) || !recover(jobs, fault) ||
        !store_reader_open(store, &jobs->reader, fault) || !collect_orphans(jobs, fault) ||
        !publish_recover(jobs, fault))
        return false;
    own(arena_done) struct arena arena = {0};
    struct queue_state queue;
    if (!store_queue_state(jobs->reader, &arena, &queue, fault))
        return false;
    atomic_store(&jobs->paused, queue.paused);
    inbox_drain(jobs->inbox); /* what recovering has told: the store is asked for all of it */
    if (!dispatch_load(jobs, fault))
        return false;
    store_reader_turn_end(jobs->reader);
    old_logs_begin(jobs);
    return thread_start(jobs, fault);
}

/* ---- events ---- */

struct events {
    struct parcel parcel;
    struct jobs *jobs;
    size_t count;
    struct job_event items[];
};

static void events_deliver(struct parcel *parcel)
{
    struct events *events = container_of(parcel, struct events, parcel);
    struct jobs *jobs = events->jobs;

    for (size_t i = 0; i < events->count; i++) {
        const struct job_event *event = &events->items[i];
        dispatch_event(jobs, event);
        if (job_status_final(event->status))
            waits_job_ended(jobs, event->job_id);
        else if (event->status == JOB_RUNNING && event->cancel_requested) {
            struct attempt *attempt = attempt_of_job(jobs, event->job_id);
            if (attempt)
                attempt_cancel(attempt);
        }
    }
    free(events);
}

void jobs_on_events(void *arg, const struct job_event *items, size_t count)
{
    struct jobs *jobs = arg;
    struct events *events = xmalloc(sizeof *events + count * sizeof *items);

    events->parcel.deliver = events_deliver;
    events->jobs = jobs;
    events->count = count;
    memcpy(events->items, items, count * sizeof *items);
    if (!jobs_post(jobs, &events->parcel))
        free(events);
}

/* ---- pause and stop ---- Both flags are read anew before anything is begun; the store refuses what was begun before that. */

void jobs_hold(struct jobs *jobs)
{
    atomic_store(&jobs->holding, true);
}

void jobs_set_paused(struct jobs *jobs, bool paused)
{
    atomic_store(&jobs->paused, paused);
    wake(jobs);
}

static void stop_deliver(struct parcel *parcel)
{
    struct transition *stop = container_of(parcel, struct transition, parcel);
    struct jobs *jobs = stop->jobs;

    jobs->stopping = true;
    jobs->stop_ms = clock_mono_ms() + jobs->options.grace_ms + STOP_MS;
    free(stop);
}

void jobs_stop(struct jobs *jobs)
{
    if (!jobs || !jobs->started)
        return;
    struct transition *stop = xcalloc(1, sizeof *stop);
    stop->jobs = jobs;
    stop->parcel.deliver = stop_deliver;
    if (!jobs_post(jobs, &stop->parcel))
        free(stop);
    pthread_join(jobs->thread, NULL);
    jobs->started = false;
    store_reader_free(jobs->reader); /* the store may be closed from here on */
    jobs->reader = NULL;
    client_close(jobs);
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    jobs_stop(jobs);
    pthread_mutex_lock(&jobs->gate);
    jobs->closed = true;
    pthread_mutex_unlock(&jobs->gate);
    client_close(jobs);
    mover_free(jobs->mover);
    inbox_drain(jobs->inbox);
    while (jobs->attempts)
        attempt_free(jobs->attempts);
    publish_done(jobs);
    collect_done(jobs);
    old_logs_done(jobs);
    store_reader_free(jobs->reader);
    answer_done(&jobs->load.answer);
    inbox_free(jobs->inbox);
    pthread_mutex_destroy(&jobs->gate);
    pthread_mutex_destroy(&jobs->reads_lock);
    closep(&jobs->wake);
    queue_free(jobs->queue);
    arena_done(&jobs->arena);
    free(jobs);
}

void jobs_get_health(struct jobs *jobs, struct jobs_health *ret_health)
{
    *ret_health = (struct jobs_health){
        .runner_connected = atomic_load(&jobs->connected),
        .same_user = atomic_load(&jobs->same_user),
        .paused = atomic_load(&jobs->paused),
        .holding = atomic_load(&jobs->holding),
        .active = atomic_load(&jobs->active),
        .workers = jobs->workers,
        .running = atomic_load(&jobs->running),
        .queued = atomic_load(&jobs->queued),
    };
}
