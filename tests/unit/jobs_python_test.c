/* Python functions in persistent workers, applications read by the runner, data nodes read as JSON. */
#include "bailiff/ticket.h"
#include "unit/jobs_fixture.h"

static const char FUNCTIONS[] = "import os, sys, signal, subprocess, time\n"
                                "def double(nb):\n"
                                "    print('doubling', nb)\n"
                                "    return nb * 2\n"
                                "def pid():\n"
                                "    return os.getpid()\n"
                                "def broken():\n"
                                "    raise ValueError('no such luck')\n"
                                "def crash():\n"
                                "    os.kill(os.getpid(), signal.SIGSEGV)\n"
                                "def leave():\n"
                                "    os._exit(0)\n"
                                "def deaf():\n"
                                "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                                "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', WORD], "
                                "start_new_session=True, env={})\n"
                                "    open(MARK, 'w').close()\n"
                                "    while True: time.sleep(1)\n"
                                "def fork_and_return():\n"
                                "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', WORD], "
                                "start_new_session=True, env={})\n"
                                "def tick():\n"
                                "    while True:\n"
                                "        with open('ticks', 'a') as file: file.write('x')\n"
                                "        time.sleep(0.005)\n"
                                "def leave_a_thread():\n"
                                "    import threading\n"
                                "    threading.Thread(target=tick, daemon=True).start()\n"
                                "    while not os.path.exists('ticks'): time.sleep(0.01)\n"
                                "class Slow:\n"
                                "    def __reduce__(self): return gate, ()\n"
                                "def gate():\n"
                                "    n = 1\n"
                                "    while os.path.exists(f'load{n}'): n += 1\n"
                                "    open(f'load{n}', 'w').close()\n"
                                "    while not os.path.exists(f'go{n}'): time.sleep(0.01)\n"
                                "    return n\n"
                                "def slow():\n"
                                "    return Slow()\n"
                                "def close_all():\n"
                                "    os.closerange(3, 200); time.sleep(1000)\n";

static const char APPLICATION[] =
    "[TAIPY]\n[CORE]\nversion_number = \"7\"\n"
    "[DATA_NODE.nb]\nstorage_type = \"pickle\"\nscope = \"SCENARIO:SCOPE\"\ndefault_data = \"21:int\"\n"
    "[DATA_NODE.doubled]\nstorage_type = \"json\"\n"
    "[TASK.double]\nfunction = \"fns.double:function\"\ninputs = [ \"nb:SECTION\",]\noutputs = [ "
    "\"doubled:SECTION\",]\n";

static void write_functions(struct kit *kit)
{
    char *word = arena_printf(&kit->arena, "python-%d", getpid());

    kit_write(kit, "fns.py",
              arena_printf(&kit->arena, "WORD = '%s'\nMARK = '%s'\n%s", word, kit_path(kit, "mark"), FUNCTIONS));
}

static void load(struct kit *kit)
{
    struct fault fault = {0};
    own(text_done) struct text errors = {0};

    write_functions(kit);
    kit_write(kit, "app.toml", APPLICATION);
    if (!jobs_new(&kit->options, &kit->jobs, &fault) ||
        !jobs_load(kit->jobs, kit_path(kit, "app.toml"), &kit->manifest, &errors, &fault))
        fail_msg("%s\n%s", fault.message, errors.data);
}

/* ---- a waiter ---- */
struct waiter {
    struct inbox *inbox;
    struct ticket *ticket;
    bool resumed;
};

static void no_wake(void *arg)
{
}

static void resumed(void *arg)
{
    ((struct waiter *)arg)->resumed = true;
}

static void waiter_init(struct waiter *waiter)
{
    *waiter = (struct waiter){.inbox = inbox_new(no_wake, NULL)};
    waiter->ticket = ticket_new(waiter->inbox, resumed, waiter);
}

static void waiter_await(struct waiter *waiter)
{
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; !waiter->resumed; pause_ms(1)) {
        assert_true(clock_mono_ms() < end);
        inbox_drain(waiter->inbox);
    }
}

static void waiter_done(struct waiter *waiter)
{
    ticket_abandon(waiter->ticket);
    inbox_free(waiter->inbox);
}

static bool read_as(struct kit *kit, const char *job_id, const char *reader, const char *filter, struct waiter *waiter,
                    struct fault *fault)
{
    uint8_t key[SUBMITTER_SIZE] = {0};
    struct job job = kit_job(kit, job_id);
    struct task task;
    struct data_node node;

    memcpy(key, reader, strlen(reader));
    assert_true(store_find_task(kit->reader, &EVERYTHING, job.task_id, &kit->arena, &task, NULL));
    assert_true(store_find_data_node(kit->reader, &EVERYTHING, task.output_ids.items[0], &kit->arena, &node, NULL));
    waiter_init(waiter);
    return jobs_read_data(kit->jobs, &node, key, filter, waiter->ticket, fault);
}

static void begin_reading(struct kit *kit, const char *job_id, const char *filter, struct waiter *waiter)
{
    struct fault fault = {0};

    if (!read_as(kit, job_id, "somebody", filter, waiter, &fault))
        fail_msg("%s", fault.message);
}

static const char *read_data(struct kit *kit, const char *job_id, const char *filter, struct fault *ret_fault)
{
    struct waiter waiter;
    char *content = NULL;

    begin_reading(kit, job_id, filter, &waiter);
    waiter_await(&waiter);
    struct data_reading *reading = ticket_payload(waiter.ticket);
    assert_non_null(reading);
    if (reading->ok) {
        content = arena_alloc(&kit->arena, reading->size + 1);
        assert_int_equal(read(reading->fd, content, reading->size), reading->size);
    } else
        *ret_fault = reading->fault;
    waiter_done(&waiter);
    return content;
}

static void an_application_runs(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};

    load(kit);
    assert_string_equal(kit->manifest->version, "7");
    const struct data_node_config *nb = manifest_data_node(kit->manifest, "nb");
    assert_int_equal(strncmp(nb->default_file, "defaults/nb-", 12), 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "double");
    kit_await(kit, id, JOB_COMPLETED);
    assert_string_equal(kit_log(kit, id), "doubling 21\n");
    const char *json = read_data(kit, id, NULL, &fault);
    assert_non_null(json);
    assert_non_null(strstr(json, "42"));
}

static void defaults_are_stored_once(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};
    own(text_done) struct text errors = {0};
    struct manifest *again = NULL;

    load(kit);
    const char *first = manifest_data_node(kit->manifest, "nb")->default_file;
    assert_true(jobs_load(kit->jobs, kit_path(kit, "app.toml"), &again, &errors, &fault));
    assert_string_equal(manifest_data_node(again, "nb")->default_file, first);
    manifest_free(again);
    kit_open_store(kit);
}

/* The loader, workers and commands see what was passed on, and nothing else of the server's environment. */
static void named_variables_reach_users_code(void **state)
{
    static const char *const PASSED[] = {"ANSWER=21", "WORD=a b=c"};
    struct kit *kit = *state;
    struct fault fault = {0};
    own(text_done) struct text errors = {0};

    setenv("UNNAMED", "x", 1);
    kit->options.environment = PASSED;
    kit->options.environment_count = ARRAY_LEN(PASSED);
    kit_write(kit, "fns.py",
              "import os\ndef show(n):\n    print(n, os.environ['WORD'], os.environ.get('UNNAMED'))\n    return n\n");
    kit_write(
        kit, "app.toml",
        "[DATA_NODE.nb]\ndefault_data = \"ENV[ANSWER]:int\"\nlabel = \"ENV[WORD]\"\n[DATA_NODE.out]\nstorage_type "
        "= \"json\"\n[TASK.show]\nfunction = \"fns.show:function\"\ninputs = [\"nb:SECTION\"]\noutputs = "
        "[\"out:SECTION\"]\n");
    if (!jobs_new(&kit->options, &kit->jobs, &fault) ||
        !jobs_load(kit->jobs, kit_path(kit, "app.toml"), &kit->manifest, &errors, &fault))
        fail_msg("%s\n%s", fault.message, errors.data);
    assert_string_equal(manifest_data_node(kit->manifest, "nb")->properties, "{\"label\":\"ENV[WORD]\"}");
    kit_start(kit);
    const char *id = kit_submit(kit, "show");
    kit_await(kit, id, JOB_COMPLETED);
    assert_string_equal(kit_log(kit, id), "21 a b=c None\n");
}

static void a_bad_application_is_explained(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};
    own(text_done) struct text errors = {0};

    kit_write(kit, "bad.toml", "[TASK.t]\nfunction = \"nowhere.nothing:function\"\ninputs = [\"missing:SECTION\"]\n");
    assert_true(jobs_new(&kit->options, &kit->jobs, &fault));
    assert_false(jobs_load(kit->jobs, kit_path(kit, "bad.toml"), &kit->manifest, &errors, &fault));
    assert_null(kit->manifest);
    assert_non_null(strstr(errors.data, "missing"));
    kit_open_store(kit);
}

static void a_missing_python_is_explained(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};
    own(text_done) struct text errors = {0};

    kit->options.python = "/nonexistent/python3";
    kit_write(kit, "app.toml", APPLICATION);
    assert_true(jobs_new(&kit->options, &kit->jobs, &fault));
    assert_false(jobs_load(kit->jobs, kit_path(kit, "app.toml"), &kit->manifest, &errors, &fault));
#ifndef __SANITIZE_THREAD__ /* it forks where the program says vfork: why nothing was executed does not arrive */
    assert_non_null(strstr(errors.data, "/nonexistent/python3"));
#endif
    kit_open_store(kit);
}

static void a_worker_lives_on_between_jobs(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};

    kit->options.workers_max = 1;
    write_functions(kit);
    kit_add_node(kit, "number", "json", NULL, NULL);
    kit_add_task(kit, "pid", NULL, "pid", NULL, "number", 0);
    kit_start(kit);
    const char *a = kit_submit(kit, "pid");
    kit_await(kit, a, JOB_COMPLETED);
    const char *first = read_data(kit, a, NULL, &fault);
    const char *b = kit_submit(kit, "pid");
    kit_await(kit, b, JOB_COMPLETED);
    assert_string_equal(first, read_data(kit, b, NULL, &fault));
}

static void failures_of_functions_are_told(void **state)
{
    struct kit *kit = *state;

    write_functions(kit);
    kit_add_task(kit, "broken", NULL, "broken", NULL, NULL, 0);
    kit_add_task(kit, "crash", NULL, "crash", NULL, NULL, 0);
    kit_add_task(kit, "leave", NULL, "leave", NULL, NULL, 0);
    kit_add_task(kit, "close_all", NULL, "close_all", NULL, NULL, 0);
    kit_start(kit);
    const char *broken = kit_submit(kit, "broken"), *crash = kit_submit(kit, "crash"),
               *leave = kit_submit(kit, "leave");
    const char *close_all = kit_submit(kit, "close_all");

    struct job job = kit_await(kit, broken, JOB_FAILED);
    assert_non_null(strstr(job.error, "no such luck"));
    assert_non_null(strstr(job.stacktrace, "fns.py"));
    job = kit_await(kit, crash, JOB_FAILED);
    assert_true(job.signaled);
    assert_int_equal(job.signal, SIGSEGV);
    assert_int_equal(job.attempt, 1); /* the user's fault, not the machine's */
    job = kit_await(kit, leave, JOB_FAILED);
    assert_true(job.exited);
    assert_int_equal(job.exit_code, 0);
    job = kit_await(kit, close_all, JOB_FAILED);
    assert_string_equal(job.error, "The function closed its worker's connection.");
}

static void a_deaf_function_is_canceled(void **state)
{
    struct kit *kit = *state;
    const char *word = arena_printf(&kit->arena, "python-%d", getpid());

    write_functions(kit);
    kit_add_task(kit, "deaf", NULL, "deaf", NULL, NULL, 0);
    kit_add_task(kit, "forks", NULL, "fork_and_return", NULL, NULL, 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "deaf");
    kit_await_file(kit_path(kit, "mark"));
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; process_count(word, NULL) == 0; pause_ms(2))
        assert_true(clock_mono_ms() < end); /* while it is executed a program has no command line */
    assert_true(kit_cancel(kit, id));
    kit_await(kit, id, JOB_CANCELED);
    assert_int_equal(process_count(word, NULL), 0);
    kit_await(kit, kit_submit(kit, "forks"), JOB_COMPLETED);
    assert_int_equal(process_count(word, NULL), 0);
}

/* The worker would live on, and its thread run beside the next attempt. */
static void threads_end_with_their_attempt(void **state)
{
    struct kit *kit = *state;
    struct stat before, after;

    write_functions(kit);
    kit_add_task(kit, "leave_a_thread", NULL, "leave_a_thread", NULL, NULL, 0);
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "leave_a_thread"), JOB_COMPLETED);
    assert_int_equal(stat(kit_path(kit, "ticks"), &before), 0);
    pause_ms(300);
    assert_int_equal(stat(kit_path(kit, "ticks"), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
}

static void a_wait_ends_with_its_job_or_its_time(void **state)
{
    struct kit *kit = *state;
    struct waiter early, late, finished;

    kit_add_command(kit, "gated",
                    arena_printf(&kit->arena, "while [ ! -e %s ]; do sleep 0.01; done", kit_path(kit, "go")));
    kit_start(kit);
    const char *id = kit_submit(kit, "gated");
    waiter_init(&early);
    waiter_init(&late);
    waiter_init(&finished);
    jobs_wait(kit->jobs, id, 100, early.ticket);
    jobs_wait(kit->jobs, id, PATIENCE_MS, late.ticket);
    waiter_await(&early);
    assert_false(job_status_final(kit_job(kit, id).status));
    kit_write(kit, "go", "");
    waiter_await(&late);
    assert_int_equal(kit_job(kit, id).status, JOB_COMPLETED);
    jobs_wait(kit->jobs, id, PATIENCE_MS, finished.ticket);
    waiter_await(&finished);
    waiter_done(&early);
    waiter_done(&late);
    waiter_done(&finished);
}

static void hostile_workers_harm_their_own_job_only(void **state)
{
    struct kit *kit = *state;
    char *package = arena_printf(&kit->arena, "%s/package", kit->folder);
    char *inner = arena_printf(&kit->arena, "%s/bailiff_runner", package);

    assert_int_equal(mkdir(package, 0755), 0);
    assert_int_equal(mkdir(inner, 0755), 0);
    const char *program =
        "import os\nos.read(3, 65536)\nos.write(3, b'\\0\\0\\0\\x05garbage' * 100)\nimport time; time.sleep(1000)\n";
    assert_true(
        file_write_durable(arena_printf(&kit->arena, "%s/__main__.py", inner), program, strlen(program), 0644, NULL));
    kit->options.package = package;
    kit_add_task(kit, "any", NULL, "any", NULL, NULL, 0);
    kit_add_command(kit, "fine", "true");
    kit_start(kit);
    struct job job = kit_await(kit, kit_submit(kit, "any"), JOB_FAILED);
    assert_string_equal(job.error, "The worker does not keep to its protocol.");
    kit_await(kit, kit_submit(kit, "fine"), JOB_COMPLETED);
}

/* Many readers of what takes long to read hold up no result, and those who have gone hold up nobody. */
static void slow_reads_hold_up_no_publication(void **state)
{
    struct kit *kit = *state;
    struct waiter first, gone, last;

    write_functions(kit);
    kit_add_node(kit, "slow", "pickle", NULL, NULL);
    kit_add_node(kit, "mine", "json", NULL, kit_path(kit, "mine.json"));
    kit_add_task(kit, "slow", NULL, "slow", NULL, "slow", 0);
    kit_add_task(kit, "publish", "echo 7 >\"$BAILIFF_OUTPUT_MINE\"", NULL, NULL, "mine", 0);
    kit_add_command(kit, "fine", "true");
    kit_start(kit);
    const char *id = kit_submit(kit, "slow");
    kit_await(kit, id, JOB_COMPLETED);
    begin_reading(kit, id, NULL, &first);
    kit_await_file(kit_path(kit, "load1"));
    begin_reading(kit, id, NULL, &gone);
    begin_reading(kit, id, NULL, &last);
    kit_await(kit, kit_submit(kit, "fine"), JOB_COMPLETED); /* the runner knows of both reads */
    ticket_abandon(gone.ticket);
    kit_await(kit, kit_submit(kit, "publish"), JOB_COMPLETED);
    kit_await(kit, kit_submit(kit, "fine"), JOB_COMPLETED); /* and of what became of them since */
    assert_false(kit_exists(kit_path(kit, "load2")));
    kit_write(kit, "go1", "");
    kit_await_file(kit_path(kit, "mine.json"));
    waiter_await(&first);
    kit_await_file(kit_path(kit, "load2"));
    kit_write(kit, "go2", "");
    waiter_await(&last);
    assert_true(((struct data_reading *)ticket_payload(last.ticket))->ok);
    assert_false(kit_exists(kit_path(kit, "load3")));
    waiter_done(&first);
    waiter_done(&last);
    inbox_drain(gone.inbox);
    inbox_free(gone.inbox);
}

/* One who reads as many slow values as he may neither takes all places nor makes others wait for all of them. */
static void readers_take_turns(void **state)
{
    enum { SHARE = 32 };
    struct kit *kit = *state;
    struct waiter greedy[SHARE], again, other;
    struct fault fault = {0};

    write_functions(kit);
    kit_add_node(kit, "slow", "pickle", NULL, NULL);
    kit_add_node(kit, "number", "json", NULL, NULL);
    kit_add_task(kit, "slow", NULL, "slow", NULL, "slow", 0);
    kit_add_task(kit, "pid", NULL, "pid", NULL, "number", 0);
    kit_start(kit);
    const char *slow = kit_submit(kit, "slow"), *quick = kit_submit(kit, "pid");
    kit_await(kit, slow, JOB_COMPLETED);
    kit_await(kit, quick, JOB_COMPLETED);
    for (size_t i = 0; i < SHARE; i++)
        assert_true(read_as(kit, slow, "greedy", NULL, &greedy[i], &fault));
    assert_false(read_as(kit, slow, "greedy", NULL, &again, &fault));
    ticket_complete(again.ticket); /* it was not taken over */
    waiter_await(&again);
    waiter_done(&again);
    assert_int_equal(fault.kind, FAULT_TOO_MANY);
    assert_int_equal(fault.retry_after_s, 1);
    kit_await_file(kit_path(kit, "load1"));
    assert_true(read_as(kit, quick, "other", NULL, &other, &fault));
    kit_write(kit, "go1", "");
    waiter_await(&other); /* though 31 slow ones were there before it */
    assert_true(((struct data_reading *)ticket_payload(other.ticket))->ok);
    waiter_done(&other);
    waiter_await(&greedy[0]);
    assert_true(read_as(kit, slow, "greedy", NULL, &again, &fault)); /* a place is free again */
    ticket_abandon(again.ticket);
    for (size_t i = 0; i < SHARE; i++)
        ticket_abandon(greedy[i].ticket);
    kit_write(kit, "go2", "");
    kit_stop(kit);
    inbox_drain(again.inbox);
    inbox_free(again.inbox);
    for (size_t i = 0; i < SHARE; i++) {
        inbox_drain(greedy[i].inbox);
        inbox_free(greedy[i].inbox);
    }
}

static void unreadable_values_are_told(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "spoil", "echo '{broken' >\"$BAILIFF_OUTPUT_TEXT\"", NULL, NULL, "text", 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "spoil");
    kit_await(kit, id, JOB_COMPLETED);
    assert_null(read_data(kit, id, NULL, &fault));
    assert_int_equal(fault.kind, FAULT_UNPROCESSABLE);
}

static int tests(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest all[] = {
        T(an_application_runs),
        T(defaults_are_stored_once),
        T(named_variables_reach_users_code),
        T(a_bad_application_is_explained),
        T(a_missing_python_is_explained),
        T(a_worker_lives_on_between_jobs),
        T(failures_of_functions_are_told),
        T(a_deaf_function_is_canceled),
        T(threads_end_with_their_attempt),
        T(a_wait_ends_with_its_job_or_its_time),
        T(hostile_workers_harm_their_own_job_only),
        T(slow_reads_hold_up_no_publication),
        T(readers_take_turns),
        T(unreadable_values_are_told),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return jobs_fixture_main(argc, argv, tests);
}
