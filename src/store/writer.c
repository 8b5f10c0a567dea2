#include <pthread.h>
#include <string.h>

#include "bailiff/clock.h"
#include "bailiff/thread.h"
#include "bailiff/ticket.h"
#include "store/batch.h"
#include "store/queue.h"
#include "store/writer.h"

enum {
    QUEUE_MAX = 4096,
    BATCH_MAX = 256,
    IDEMPOTENCY_TTL_S = 86400,
    EVENTS_MAX = 1000000,
    EVENTS_TTL_S = 604800,
    PROBE_INTERVAL_MS = 1000,
    LOG_PAGES_MAX = 65536
};

struct writer {
    pthread_t thread;
    struct change_queue queue;
    struct ledger ledger; /* the thread's */
    unsigned batch_max, probe_interval_ms, log_pages_max;
    struct log *log;
    void (*on_jobs)(void *arg, const struct job_event *events, size_t count);
    void *on_jobs_arg;
    pthread_mutex_t health_lock; /* of what other threads ask for: */
    bool healthy, strained;
    struct fault sickness, strain;
    struct audit_walk head; /* as the ledger's */
};

/* ---- health ---- */

bool writer_healthy(struct writer *writer, struct fault *fault)
{
    struct fault sickness = {0};
    bool healthy;

    pthread_mutex_lock(&writer->health_lock);
    healthy = writer->healthy;
    if (!healthy)
        sickness = writer->sickness;
    pthread_mutex_unlock(&writer->health_lock);
    if (healthy)
        return true;
    fault_unavailable(fault, 5, "Changes cannot be written now: %s", sickness.message);
    return fault_detail(fault, "%s", sickness.detail);
}

static bool is_healthy(struct writer *writer)
{
    return writer_healthy(writer, NULL);
}

static void set_sick(struct writer *writer, const struct fault *fault)
{
    bool was_healthy;

    pthread_mutex_lock(&writer->health_lock);
    was_healthy = writer->healthy;
    writer->healthy = false;
    writer->sickness = *fault;
    pthread_mutex_unlock(&writer->health_lock);
    if (was_healthy)
        log_write(writer->log, LOG_ERROR, "store.unhealthy", "Changes cannot be written; trying again.",
                  L_STR("reason", fault->message), L_STR("detail", fault->detail));
}

static void set_healthy(struct writer *writer)
{
    bool was_healthy;

    pthread_mutex_lock(&writer->health_lock);
    was_healthy = writer->healthy;
    writer->healthy = true;
    pthread_mutex_unlock(&writer->health_lock);
    if (!was_healthy)
        log_write(writer->log, LOG_INFO, "store.healthy", "Changes can be written again.", L_STR("reason", NULL));
}

bool writer_strained(struct writer *writer, struct fault *ret_why)
{
    pthread_mutex_lock(&writer->health_lock);
    bool strained = writer->strained;
    if (strained)
        *ret_why = writer->strain;
    pthread_mutex_unlock(&writer->health_lock);
    return strained;
}

static void set_strained(struct writer *writer, bool strained, const struct fault *why)
{
    pthread_mutex_lock(&writer->health_lock);
    bool before = writer->strained;
    writer->strained = strained;
    writer->strain = *why;
    pthread_mutex_unlock(&writer->health_lock);
    if (strained && !before)
        log_write(writer->log, LOG_ERROR, "store.strained", why->message, L_STR("detail", why->detail));
    else if (before && !strained)
        log_write(writer->log, LOG_INFO, "store.relieved", "The database file can be written again.",
                  L_STR("reason", NULL));
}

/* A transaction is on disk: in the log at least. That is enough until the log is too long. */
static void set_written(struct writer *writer)
{
    const struct ledger *ledger = &writer->ledger;
    struct fault why = {0};

    if (ledger->checkpoint_error == SQLITE_OK) {
        set_strained(writer, false, &why);
        set_healthy(writer);
        return;
    }
    fault_unavailable(&why, 5, "The database file cannot be written; what is new is safe in its log, which grows.");
    fault_detail(&why, "SQLite error %d: %s; %d pages", ledger->checkpoint_error,
                 sqlite3_errstr(ledger->checkpoint_error), ledger->log_pages);
    set_strained(writer, true, &why);
    if ((unsigned)ledger->log_pages < writer->log_pages_max)
        set_healthy(writer);
    else
        set_sick(writer, &why);
}

/* ---- the thread ---- */

static void committed(struct writer *writer)
{
    set_written(writer);
    pthread_mutex_lock(&writer->health_lock);
    writer->head = writer->ledger.head;
    pthread_mutex_unlock(&writer->health_lock);
    if (writer->ledger.clock_back_ms > 0)
        log_write(writer->log, LOG_WARNING, "store.clock_back",
                  "The clock is far behind the time of the last record; records go on with the clock's time. Check the "
                  "clock.",
                  L_INT("behind_ms", writer->ledger.clock_back_ms));
}

/* Hands over the changes that are, or are not, of the job thread. */
static void tell(struct change **place, bool of_jobs)
{
    while (*place) {
        struct change *change = *place;
        if ((change->class == CHANGE_JOB) != of_jobs) {
            place = &change->next;
            continue;
        }
        *place = change->next;
        change->next = NULL;
        change->done(change); /* takes it away */
    }
}

static void write_batch(struct writer *writer, struct change *first)
{
    struct fault fault = {0};

    if (batch_run(&writer->ledger, first, &fault))
        committed(writer);
    else
        set_sick(writer, &fault);
    /* The job thread first, and at once: on its own it would wake for every single one. */
    inboxes_hold();
    if (writer->ledger.event_count > 0 && writer->on_jobs)
        writer->on_jobs(writer->on_jobs_arg, writer->ledger.events, writer->ledger.event_count);
    tell(&first, true);
    inboxes_release();
    tell(&first, false);
}

static void probe(struct writer *writer)
{
    struct fault fault = {0};

    if (batch_probe(&writer->ledger, &fault))
        set_written(writer);
    else
        set_sick(writer, &fault);
}

static void *writer_main(void *arg)
{
    struct writer *writer = arg;
    bool closed = false;

    for (;;) {
        int wait_ms = is_healthy(writer) ? -1 : (int)writer->probe_interval_ms;
        struct change *changes = change_queue_take(&writer->queue, writer->batch_max, wait_ms, &closed);
        if (changes)
            write_batch(writer, changes);
        else if (closed)
            return NULL;
        else
            probe(writer);
    }
}

static void writer_free(struct writer *writer)
{
    change_queue_done(&writer->queue);
    pthread_mutex_destroy(&writer->health_lock);
    free(writer->ledger.events);
    database_close(writer->ledger.db);
    explicit_bzero(writer->ledger.audit_key, sizeof(writer->ledger.audit_key));
    free(writer);
}

bool writer_start(const struct store_options *options, struct database *db, const struct writer_begin *begin,
                  struct writer **ret_writer, struct fault *fault)
{
    struct writer *writer = xcalloc(1, sizeof(*writer));

    writer->ledger = (struct ledger){
        .db = db,
        .head = begin->head,
        .latest_ms = begin->latest_ms,
        .looker = begin->looker,
        .taken = {clock_wall_ms(), clock_mono_ms()},
        .idempotency_ttl_s = options->idempotency_ttl_s ? options->idempotency_ttl_s : IDEMPOTENCY_TTL_S,
        .unfinished_jobs_max = options->unfinished_jobs_max,
        .event_bounds = {.max = options->events_max ? options->events_max : EVENTS_MAX,
                         .ttl_ms = (int64_t)(options->events_ttl_s ? options->events_ttl_s : EVENTS_TTL_S) * 1000},
    };
    batch_watch_log(&writer->ledger);
    memcpy(writer->ledger.audit_key, begin->audit_key, AUDIT_KEY_SIZE);
    writer->head = begin->head;
    writer->batch_max = options->batch_max ? options->batch_max : BATCH_MAX;
    writer->probe_interval_ms = options->probe_interval_ms ? options->probe_interval_ms : PROBE_INTERVAL_MS;
    writer->log_pages_max = options->log_pages_max ? options->log_pages_max : LOG_PAGES_MAX;
    writer->log = options->log;
    writer->on_jobs = options->on_jobs;
    writer->on_jobs_arg = options->on_jobs_arg;
    writer->healthy = true;
    pthread_mutex_init(&writer->health_lock, NULL);
    change_queue_init(&writer->queue, options->queue_max ? options->queue_max : QUEUE_MAX);
    if (thread_begin(&writer->thread, "writer", writer_main, writer) != 0) {
        writer_free(writer);
        return fault_internal(fault, "the store's writer thread cannot be started");
    }
    *ret_writer = writer;
    return true;
}

void writer_stop(struct writer *writer)
{
    if (!writer)
        return;
    change_queue_close(&writer->queue);
    pthread_join(writer->thread, NULL);
    /* what it cannot move into the database now is in the WAL and is found at the next start */
    sqlite3_wal_checkpoint_v2(writer->ledger.db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    writer_free(writer);
}

/* ---- for the other threads ---- */

bool writer_put(struct writer *writer, struct change *first, struct fault *fault)
{
    bool all_of_jobs = true;

    for (struct change *c = first; c; c = c->next)
        all_of_jobs = all_of_jobs && c->class == CHANGE_JOB;
    /* the job thread's transitions are tried even now: they are the first to go on when the disk is back */
    if (!all_of_jobs && !writer_healthy(writer, fault))
        return false;
    return change_queue_put(&writer->queue, first, fault);
}

size_t writer_queue_length(struct writer *writer)
{
    return change_queue_length(&writer->queue);
}

void writer_audit_head(struct writer *writer, struct audit_walk *ret_head)
{
    pthread_mutex_lock(&writer->health_lock);
    *ret_head = writer->head;
    pthread_mutex_unlock(&writer->health_lock);
}

unsigned writer_idempotency_ttl_s(const struct writer *writer)
{
    return writer->ledger.idempotency_ttl_s;
}
