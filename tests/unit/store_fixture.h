/* What the store's tests share: a store in a folder of its own, a small application, and one call for each transition. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "bailiff/store.h"

static const struct scope ALL = {.everything = true};

/* ---- the application ---- nb → double → doubled; raw → clean → tidy → report → paper (shared); cached (skippable) */
enum { NB, DOUBLED, RAW, TIDY, PAPER, MINE, CACHED, NODE_CONFIGS };
static struct data_node_config node_configs[NODE_CONFIGS] = {
    [NB] = {.id = "nb",
            .scope = SCOPE_SCENARIO,
            .default_file = "defaults/nb.p",
            .properties = "{\"name\":\"Number\"}"},
    [DOUBLED] = {.id = "doubled", .scope = SCOPE_SCENARIO, .properties = "{}"},
    [RAW] = {.id = "raw", .scope = SCOPE_GLOBAL, .storage_type = STORAGE_CSV, .properties = "{}"},
    [TIDY] = {.id = "tidy", .scope = SCOPE_GLOBAL, .properties = "{}"},
    [PAPER] = {.id = "paper", .scope = SCOPE_CYCLE, .properties = "{}"},
    [MINE] = {.id = "mine", .scope = SCOPE_SCENARIO, .storage_type = STORAGE_JSON, .properties = "{}"},
    [CACHED] = {.id = "cached", .scope = SCOPE_SCENARIO, .validity_period_ms = 3600000, .properties = "{}"},
};
static const struct data_node_config *const_nodes[NODE_CONFIGS] = {
    &node_configs[NB],    &node_configs[DOUBLED], &node_configs[RAW],    &node_configs[TIDY],
    &node_configs[PAPER], &node_configs[MINE],    &node_configs[CACHED],
};
static const char *command_argv[] = {"./fetch", "--all"};
enum { DOUBLE, FETCH, CLEAN, REPORT, EXPORT, CACHE, TASK_CONFIGS };
static struct task_config task_configs[TASK_CONFIGS] = {
    [DOUBLE] = {.id = "double",
                .module = "fns",
                .function = "double",
                .inputs = &const_nodes[NB],
                .input_count = 1,
                .outputs = &const_nodes[DOUBLED],
                .output_count = 1},
    [FETCH] = {.id = "fetch", .command = {command_argv, 2}, .outputs = &const_nodes[RAW], .output_count = 1},
    [CLEAN] = {.id = "clean",
               .module = "fns",
               .function = "clean",
               .inputs = &const_nodes[RAW],
               .input_count = 1,
               .outputs = &const_nodes[TIDY],
               .output_count = 1},
    [REPORT] = {.id = "report",
                .module = "fns",
                .function = "report",
                .inputs = &const_nodes[TIDY],
                .input_count = 1,
                .outputs = &const_nodes[PAPER],
                .output_count = 1},
    [EXPORT] = {.id = "export",
                .module = "fns",
                .function = "export",
                .inputs = &const_nodes[NB],
                .input_count = 1,
                .outputs = &const_nodes[MINE],
                .output_count = 1},
    [CACHE] = {.id = "cache",
               .module = "fns",
               .function = "cache",
               .inputs = &const_nodes[NB],
               .input_count = 1,
               .outputs = &const_nodes[CACHED],
               .output_count = 1,
               .skippable = true},
};
static struct manifest application = {
    .version = "1.0",
    .root = "/app",
    .data_nodes = node_configs,
    .tasks = task_configs,
    .data_node_count = NODE_CONFIGS,
    .task_count = TASK_CONFIGS,
};

/* ---- a store ---- */
struct fixture {
    char folder[64];
    struct store *store;
    struct store_reader *reader;
    struct arena arena;
    struct fault fault;
    struct store_options options;
    pthread_mutex_t lock;
    struct job_event events[4096];
    size_t event_count;
};

static void fixture_on_jobs(void *arg, const struct job_event *events, size_t count)
{
    struct fixture *f = arg;

    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < count && f->event_count < ARRAY_LEN(f->events); i++)
        f->events[f->event_count++] = events[i];
    pthread_mutex_unlock(&f->lock);
}

static int fixture_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void fixture_open(struct fixture *f)
{
    memset(&f->fault, 0, sizeof(f->fault));
    if (!store_open(&f->options, &f->store, &f->fault))
        fail_msg("store_open: %s (%s)", f->fault.message, f->fault.detail);
    assert_true(store_reader_open(f->store, &f->reader, &f->fault));
}

static inline void fixture_close(struct fixture *f)
{
    store_reader_free(f->reader);
    store_close(f->store);
    f->reader = NULL;
    f->store = NULL;
}

/* Without opening: a folder and options. */
static inline int fixture_prepare(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->folder, sizeof(f->folder), "/tmp/bailiff-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    pthread_mutex_init(&f->lock, NULL);
    f->options = (struct store_options){.folder = f->folder, .on_jobs = fixture_on_jobs, .on_jobs_arg = f};
    *state = f;
    return 0;
}

static inline int fixture_setup(void **state)
{
    fixture_prepare(state);
    fixture_open(*state);
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    arena_done(&f->arena);
    nftw(f->folder, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static inline const char *fixture_path(struct fixture *f, const char *name)
{
    return arena_printf(&f->arena, "%s/%s", f->folder, name);
}

/* SQL of the test's own, on a connection of its own. */
static inline void fixture_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;

    assert_int_equal(sqlite3_open(fixture_path(f, "bailiff.db"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_close(db);
}

static inline int64_t fixture_number(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    int64_t n;

    assert_int_equal(sqlite3_open(fixture_path(f, "bailiff.db"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return n;
}

/* ---- changes ---- */
typedef bool (*apply_fn)(struct store_txn *txn, struct change *change, struct fault *fault);

/* Runs a change of the job thread's and waits; what it makes lives in the fixture's arena. */
static inline bool fixture_apply(struct fixture *f, apply_fn apply, void *input)
{
    struct change *change = change_new();
    bool ok;

    f->fault = (struct fault){0};
    change->class = CHANGE_JOB;
    change->apply = apply;
    change->input = input;
    change->outcome = f;
    change->audited = true;
    change->audit.action = "test";
    ok = store_submit_wait(f->store, change, &f->fault);
    change_free(change);
    store_reader_turn_end(f->reader);
    return ok;
}

struct creation_input {
    int config;
    bool reuse;
    struct task task;
};
static bool apply_create(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct creation_input *in = change->input;
    struct fixture *f = change->outcome;
    struct task_creation creation = {
        .manifest = &application, .config = &task_configs[in->config], .created_by = "ann", .reuse = in->reuse};

    return txn_create_task(txn, &ALL, &creation, &f->arena, &in->task, fault);
}
static inline struct task fixture_create(struct fixture *f, int config)
{
    struct creation_input in = {.config = config};

    if (!fixture_apply(f, apply_create, &in))
        fail_msg("create: %s (%s)", f->fault.message, f->fault.detail);
    return in.task;
}

struct submit_input {
    const char *task_id;
    bool force;
    struct controls controls; /* all zero: none */
    uint8_t submitter;
    struct task task;
    struct job job;
    struct submission submission;
};
static bool apply_submit(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct submit_input *in = change->input;
    struct fixture *f = change->outcome;

    struct task_submission what = {.id = in->task_id,
                                   .force = in->force,
                                   .submitted_by = "ben",
                                   .submitter = {in->submitter},
                                   .manifest = &application,
                                   .controls = in->controls};

    return txn_submit_task(txn, &ALL, &what, &f->arena, &in->task, &in->job, &in->submission, fault);
}
static inline struct job fixture_submit(struct fixture *f, const char *task_id)
{
    struct submit_input in = {.task_id = task_id};

    if (!fixture_apply(f, apply_submit, &in))
        fail_msg("submit: %s (%s)", f->fault.message, f->fault.detail);
    return in.job;
}

struct start_input {
    const char *job_id;
    struct job_start start;
};
static bool apply_start(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct start_input *in = change->input;
    struct fixture *f = change->outcome;

    return txn_start_job(txn, in->job_id, "worker-1", &f->arena, &in->start, fault);
}
static inline struct job_start fixture_start(struct fixture *f, const char *job_id)
{
    struct start_input in = {.job_id = job_id};

    if (!fixture_apply(f, apply_start, &in))
        fail_msg("start: %s (%s)", f->fault.message, f->fault.detail);
    return in.start;
}

static bool apply_end(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct job job;

    return txn_end_job(txn, change->input, &change->arena, &job, fault);
}
/* Ends a started job; COMPLETED with a file for each output. */
static inline void fixture_end(struct fixture *f, const struct job_start *start, enum job_status status)
{
    struct job_output outputs[8];
    struct job_end end = {.job_id = start->job.id,
                          .attempt = start->job.attempt,
                          .status = status,
                          .failure.exited = true,
                          .outputs = outputs};

    for (size_t i = 0; status == JOB_COMPLETED && i < start->output_count; i++)
        outputs[end.output_count++] = (struct job_output){
            start->outputs[i].id, arena_printf(&f->arena, "results/%lld-%zu", (long long)start->attempt_number, i),
            false};
    if (!fixture_apply(f, apply_end, &end))
        fail_msg("end: %s (%s)", f->fault.message, f->fault.detail);
}

struct cancel_input {
    const char *job_id;
    struct job job;
};
static bool apply_cancel(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct cancel_input *in = change->input;
    struct fixture *f = change->outcome;

    return txn_cancel_job(txn, &ALL, in->job_id, &f->arena, &in->job, fault);
}

struct delete_input {
    const char *id;
    int64_t if_match;
};
static bool apply_delete(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct delete_input *in = change->input;

    return txn_delete_task(txn, &ALL, in->id, in->if_match, fault);
}

static inline enum job_status fixture_status(struct fixture *f, const char *job_id)
{
    struct job job;

    store_reader_turn_end(f->reader);
    f->fault = (struct fault){0};
    if (!store_find_job(f->reader, &ALL, job_id, &f->arena, &job, &f->fault))
        fail_msg("find: %s (%s)", f->fault.message, f->fault.detail);
    return job.status;
}
#define assert_status(f, id, expected) assert_string_equal(job_status_name(fixture_status((f), (id))), #expected)

/* How apply_* that a test does not use are kept quiet. */
static __attribute__((unused))
apply_fn const fixture_applies[] = {apply_create, apply_submit, apply_start, apply_end, apply_cancel, apply_delete};

#endif
