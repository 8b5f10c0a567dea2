/* What the tests of jobs share: a store, a real runner with real keepers, and an application of small commands. The
 * test's own program is the runner's and the keepers', too: see jobs_fixture_main. */
#ifndef JOBS_FIXTURE_H
#define JOBS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "bailiff/jobs.h"
#include "bailiff/json.h"

enum { PATIENCE_MS = 60000 }; /* for what must happen; only a failing test waits so long */

static const struct scope EVERYTHING = {.everything = true};

struct kit {
    char folder[64];
    char *app, *work, *storage, *package, *program;
    struct jobs_options options;
    struct store_options store_options;
    struct jobs *jobs;
    struct store *store;
    struct store_reader *reader;
    struct manifest *manifest;
    struct arena arena;
    struct log *log;
    struct text config; /* of the manifest, as it grows */
    struct text tasks;
};

static inline void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static inline const char *kit_path(struct kit *kit, const char *name)
{
    return arena_printf(&kit->arena, "%s/%s", kit->app, name);
}

static inline void kit_write(struct kit *kit, const char *name, const char *content)
{
    struct fault fault = {0};

    if (!file_write_durable(kit_path(kit, name), content, strlen(content), 0755, &fault))
        fail_msg("%s", fault.message);
}

static inline const char *kit_read(struct kit *kit, const char *path)
{
    struct text content = {0};

    if (!file_read(path, MIB(16), &content, NULL))
        return NULL;
    const char *copy = arena_strndup(&kit->arena, content.data ? content.data : "", content.len);
    text_done(&content);
    return copy;
}

static inline bool kit_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline int kit_setup(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    char program[4096];

    snprintf(kit->folder, sizeof kit->folder, "/tmp/bailiff-jobs-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(len > 0);
    kit->program = arena_strndup(&kit->arena, program, (size_t)len);
    kit->app = arena_printf(&kit->arena, "%s/app", kit->folder);
    kit->work = arena_printf(&kit->arena, "%s/work", kit->folder);
    kit->storage = arena_printf(&kit->arena, "%s/storage", kit->folder);
    kit->package = realpath("src/python", NULL);
    assert_int_equal(mkdir(kit->app, 0755), 0);
    kit->log = log_new(STDERR_FILENO, LOG_TEXT, getenv("BAILIFF_TEST_LOG") ? LOG_DEBUG : LOG_ERROR + 1);
    kit->options = (struct jobs_options){
        .storage_folder = kit->storage,
        .program = kit->program,
        .work_folder = kit->work,
        .allow_same_user = true,
        .python = "/usr/bin/python3",
        .package = kit->package ? kit->package : "/nonexistent",
        .workers_max = 2,
        .log_max_bytes = 100000,
        .output_max_bytes = MIB(1),
        .grace_ms = 300,
        .restart_lost = true,
        .attempts_max = 3,
        .log = kit->log,
    };
    kit->store_options =
        (struct store_options){.folder = arena_printf(&kit->arena, "%s/data", kit->folder), .log = kit->log};
    *state = kit;
    return 0;
}

static inline int kit_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void kit_stop(struct kit *kit)
{
    jobs_stop(kit->jobs);
    store_reader_free(kit->reader);
    store_close(kit->store);
    jobs_free(kit->jobs);
    manifest_free(kit->manifest);
    kit->jobs = NULL;
    kit->store = NULL;
    kit->reader = NULL;
    kit->manifest = NULL;
}

static inline int kit_teardown(void **state)
{
    struct kit *kit = *state;

    kit_stop(kit);
    nftw(kit->folder, kit_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    log_free(kit->log);
    text_done(&kit->config);
    text_done(&kit->tasks);
    free(kit->package);
    arena_done(&kit->arena);
    free(kit);
    return 0;
}

/* ---- the application ---- a data node is named for what it holds; more is added before kit_start */

static inline void kit_add_node(struct kit *kit, const char *id, const char *type, const char *default_file,
                                const char *path)
{
    if (kit->config.len > 0)
        text_append_char(&kit->config, ',');
    text_printf(&kit->config, "{\"id\":\"%s\",\"scope\":\"SCENARIO\",\"storage_type\":\"%s\",\"default_file\":", id,
                type);
    jw_string(&kit->config, default_file);
    text_append_str(&kit->config, ",\"path\":");
    jw_string(&kit->config, path);
    text_append_str(&kit->config, ",\"validity_period_ms\":null,\"properties\":{}}");
}

static inline void kit_add_task(struct kit *kit, const char *id, const char *script, const char *function,
                                const char *input, const char *output, int timeout_ms)
{
    struct text t = {0};

    jw_open(&t, '{');
    jw_member_string(&t, "id", id);
    jw_member_string(&t, "module", function ? "fns" : NULL);
    jw_member_string(&t, "function", function);
    jw_key(&t, "command");
    if (script) {
        jw_open(&t, '[');
        jw_string(&t, "/bin/sh");
        jw_string(&t, "-c");
        jw_string(&t, script);
        jw_close(&t, ']');
    } else
        jw_null(&t);
    jw_member_raw(&t, "environment", "{}");
    jw_key(&t, "inputs");
    jw_open(&t, '[');
    if (input)
        jw_string(&t, input);
    jw_close(&t, ']');
    jw_key(&t, "outputs");
    jw_open(&t, '[');
    if (output)
        jw_string(&t, output);
    jw_close(&t, ']');
    jw_member_bool(&t, "skippable", false);
    jw_member_int(&t, "timeout_ms", timeout_ms);
    jw_close(&t, '}');
    if (kit->tasks.len > 0)
        text_append_char(&kit->tasks, ',');
    text_append_span(&kit->tasks, text_span(&t));
    text_done(&t);
}

static inline void kit_add_command(struct kit *kit, const char *id, const char *script)
{
    kit_add_task(kit, id, script, NULL, NULL, NULL, 0);
}

static inline void kit_manifest(struct kit *kit)
{
    struct text json = {0};
    struct fault fault = {0};

    text_printf(&json,
                "{\"format\":1,\"version\":\"1.0\",\"root\":\"%s\",\"workers\":null,\"data_nodes\":[%s],\"tasks\":[%s],"
                "\"scenarios\":[]}",
                kit->app, kit->config.data ? kit->config.data : "", kit->tasks.data ? kit->tasks.data : "");
    if (!manifest_read(text_span(&json), &kit->manifest, &fault))
        fail_msg("manifest: %s", fault.message);
    text_done(&json);
}

static inline void kit_open_store(struct kit *kit)
{
    struct fault fault = {0};

    kit->store_options.on_jobs = jobs_on_events;
    kit->store_options.on_jobs_arg = kit->jobs;
    if (!store_open(&kit->store_options, &kit->store, &fault))
        fail_msg("store: %s (%s)", fault.message, fault.detail);
    assert_true(store_reader_open(kit->store, &kit->reader, &fault));
}

static inline void kit_start(struct kit *kit)
{
    struct fault fault = {0};

    if (!kit->manifest)
        kit_manifest(kit);
    if (!kit->jobs && !jobs_new(&kit->options, &kit->jobs, &fault))
        fail_msg("jobs_new: %s (%s)", fault.message, fault.detail);
    kit_open_store(kit);
    if (!jobs_start(kit->jobs, kit->store, kit->manifest, &fault))
        fail_msg("jobs_start: %s (%s)", fault.message, fault.detail);
}

/* ---- what a client would do ---- */

struct kit_change {
    struct kit *kit;
    const char *config, *id;
    const struct controls *controls; /* NULL: none */
    uint8_t submitter;
    struct task task;
    struct job job;
};

static bool kit_apply_submit(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct kit_change *in = change->input;
    struct task_creation creation = {.manifest = in->kit->manifest,
                                     .config = manifest_task(in->kit->manifest, in->config),
                                     .created_by = "ann",
                                     .reuse = true};
    struct task_submission what = {.force = true,
                                   .submitted_by = "ann",
                                   .submitter = {in->submitter},
                                   .manifest = in->kit->manifest,
                                   .controls = in->controls ? *in->controls : CONTROLS_UNSAID};
    struct submission submission;

    return txn_create_task(txn, &EVERYTHING, &creation, &in->kit->arena, &in->task, fault) && (what.id = in->task.id) &&
           txn_submit_task(txn, &EVERYTHING, &what, &in->kit->arena, &in->task, &in->job, &submission, fault);
}

static bool kit_apply_cancel(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct kit_change *in = change->input;

    return txn_cancel_job(txn, &EVERYTHING, in->id, &in->kit->arena, &in->job, fault);
}

static inline bool kit_change(struct kit *kit, bool (*apply)(struct store_txn *, struct change *, struct fault *),
                              struct kit_change *input, struct fault *fault)
{
    struct change *change = change_new();

    change->class = CHANGE_JOB;
    change->apply = apply;
    change->input = input;
    input->kit = kit;
    bool ok = store_submit_wait(kit->store, change, fault);
    change_free(change);
    return ok;
}

/* A new job of the task configuration; its id lives in the kit's arena. */
static inline const char *kit_submit(struct kit *kit, const char *config)
{
    struct kit_change in = {.config = config};
    struct fault fault = {0};

    if (!kit_change(kit, kit_apply_submit, &in, &fault))
        fail_msg("submit %s: %s (%s)", config, fault.message, fault.detail);
    return in.job.id;
}

static inline bool kit_cancel(struct kit *kit, const char *id)
{
    struct kit_change in = {.id = id};

    return kit_change(kit, kit_apply_cancel, &in, NULL);
}

static inline struct job kit_job(struct kit *kit, const char *id)
{
    struct fault fault = {0};
    struct job job;

    store_reader_turn_end(kit->reader);
    if (!store_find_job(kit->reader, &EVERYTHING, id, &kit->arena, &job, &fault))
        fail_msg("job: %s", fault.message);
    store_reader_turn_end(kit->reader);
    return job;
}

static inline struct job kit_await(struct kit *kit, const char *id, enum job_status status)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    struct job job;

    for (;; pause_ms(2)) {
        job = kit_job(kit, id);
        if (job.status == status)
            return job;
        if (clock_mono_ms() > deadline || job_status_final(job.status))
            fail_msg("job %s is %s, not %s: %s\n%s", id, job_status_name(job.status), job_status_name(status),
                     job.error ? job.error : "", job.stacktrace ? job.stacktrace : "");
    }
}

static inline void kit_await_file(const char *path)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;

    for (; !kit_exists(path); pause_ms(2))
        if (clock_mono_ms() > deadline)
            fail_msg("%s did not appear", path);
}

static inline const char *kit_log(struct kit *kit, const char *id)
{
    struct job job = kit_job(kit, id);
    struct fault fault = {0};
    struct text content = {0};
    char piece[4096];
    int fd;

    if (!jobs_open_log(kit->jobs, &job, &fd, &fault))
        return NULL;
    for (ssize_t got; (got = read(fd, piece, sizeof piece)) > 0;)
        text_append(&content, piece, (size_t)got);
    close(fd);
    const char *copy = arena_strndup(&kit->arena, content.data ? content.data : "", content.len);
    text_done(&content);
    return copy;
}

/* The file of the task's only output, as an absolute path. */
static inline const char *kit_output(struct kit *kit, const char *job_id)
{
    struct job job = kit_job(kit, job_id);
    struct task task;
    struct data_node node;

    assert_true(store_find_task(kit->reader, &EVERYTHING, job.task_id, &kit->arena, &task, NULL));
    assert_int_equal(task.output_ids.count, 1);
    assert_true(store_find_data_node(kit->reader, &EVERYTHING, task.output_ids.items[0], &kit->arena, &node, NULL));
    store_reader_turn_end(kit->reader);
    return node.file ? arena_printf(&kit->arena, "%s/%s", kit->storage, node.file) : NULL;
}

/* ---- processes ---- */

/* How many living processes have `word` in their command line. */
static inline size_t process_count(const char *word, pid_t *ret_last)
{
    DIR *proc = opendir("/proc");
    size_t found = 0;

    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[300], line[4096];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t len = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
        if (fd >= 0)
            close(fd);
        for (ssize_t i = 0; i < len; i++)
            if (line[i] == '\0')
                line[i] = ' ';
        line[len > 0 ? len : 0] = '\0';
        if (len > 0 && strstr(line, word)) {
            found++;
            if (ret_last)
                *ret_last = atoi(entry->d_name);
        }
    }
    closedir(proc);
    return found;
}

static inline pid_t runner_pid(struct kit *kit)
{
    char word[200];
    pid_t pid = 0;

    snprintf(word, sizeof word, "runner --socket-fd 3 --work %s", kit->work);
    assert_int_equal(process_count(word, &pid), 1);
    return pid;
}

/* ---- the test's program as runner and keeper ---- */

static inline int jobs_fixture_main(int argc, char **argv, int (*tests)(void))
{
    struct runner_options options = {.socket_fd = -1, .program = "/proc/self/exe"};
    own(arena_done) struct arena arena = {0};
    const char *passed[8];

    if (argc > 1 && strcmp(argv[1], "keeper") == 0)
        return keeper_run();
    if (argc < 2 || strcmp(argv[1], "runner") != 0)
        return tests();
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--socket-fd") == 0)
            options.socket_fd = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--socket") == 0)
            options.socket_path = argv[i + 1];
        else if (strcmp(argv[i], "--work") == 0)
            options.work_folder = argv[i + 1];
        else if (strcmp(argv[i], "--uid") == 0)
            options.run_as_uid = (uid_t)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--gid") == 0)
            options.run_as_gid = (gid_t)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--server-uid") == 0)
            options.server_uid = (uid_t)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--pass-environment") == 0 && options.environment_count < ARRAY_LEN(passed))
            passed[options.environment_count++] = arena_printf(&arena, "%s=%s", argv[i + 1], getenv(argv[i + 1]));
    }
    options.environment = passed;
    options.log = log_new(STDERR_FILENO, LOG_TEXT, getenv("BAILIFF_TEST_LOG") ? LOG_DEBUG : LOG_ERROR);
    int status = runner_run(&options);
    log_free(options.log);
    return status;
}

#endif
