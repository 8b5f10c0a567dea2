/* Tasks and their data nodes: creation, sharing, re-use, deletion. */
#include "store/txn.h"
#include "unit/store_fixture.h"

static struct data_node node_of(struct fixture *f, const char *id)
{
    struct data_node node = {0};

    f->fault = (struct fault){0};
    if (!store_find_data_node(f->reader, &ALL, id, &f->arena, &node, &f->fault))
        fail_msg("%s", f->fault.message);
    return node;
}

static void a_task_is_read_as_it_was_created(void **state)
{
    struct fixture *f = *state;
    struct task made = fixture_create(f, DOUBLE), read;

    assert_int_equal(strncmp(made.id, "TASK_double_", 12), 0);
    assert_true(store_find_task(f->reader, &ALL, made.id, &f->arena, &read, &f->fault));
    assert_string_equal(read.id, made.id);
    assert_int_equal(read.seq, made.seq);
    assert_string_equal(read.config_id, "double");
    assert_null(read.owner_id);
    assert_string_equal(read.version, "1.0");
    assert_string_equal(read.function_module, "fns");
    assert_string_equal(read.function_name, "double");
    assert_int_equal(read.parent_ids.count, 0);
    assert_int_equal(read.input_ids.count, 1);
    assert_string_equal(read.input_ids.items[0], made.input_ids.items[0]);
    assert_string_equal(read.output_ids.items[0], made.output_ids.items[0]);
    assert_false(read.skippable);
    assert_string_equal(read.created_by, "ann");
    assert_int_equal(read.created_at_ms, made.created_at_ms);
    assert_int_equal(read.revision, 1);
}

static void a_command_has_no_module(void **state)
{
    struct task made = fixture_create(*state, FETCH);

    assert_string_equal(made.function_module, "");
    assert_string_equal(made.function_name, "./fetch");
    assert_int_equal(made.input_ids.count, 0);
}

static void scenario_nodes_are_its_own(void **state)
{
    struct fixture *f = *state;
    struct task one = fixture_create(f, DOUBLE), two = fixture_create(f, DOUBLE);
    struct data_node nb = node_of(f, one.input_ids.items[0]), doubled = node_of(f, one.output_ids.items[0]);

    assert_string_not_equal(one.id, two.id);
    assert_string_not_equal(one.input_ids.items[0], two.input_ids.items[0]);
    assert_int_equal(nb.parent_ids.count, 1);
    assert_string_equal(nb.parent_ids.items[0], one.id);
    assert_string_equal(nb.name, "Number");
    assert_string_equal(nb.file, "defaults/nb.p"); /* has a default: begins written */
    assert_int_equal(nb.last_edit_ms, one.created_at_ms);
    assert_null(doubled.file);
    assert_null(doubled.name);
    assert_int_equal(doubled.last_edit_ms, 0);
    assert_false(doubled.edit_in_progress);
    assert_int_equal(doubled.storage_type, STORAGE_PICKLE);
}

static void global_and_cycle_nodes_are_shared(void **state)
{
    struct fixture *f = *state;
    struct task clean = fixture_create(f, CLEAN), report = fixture_create(f, REPORT), again = fixture_create(f, REPORT);
    struct data_node tidy;
    int64_t revision;

    assert_string_equal(clean.output_ids.items[0], report.input_ids.items[0]);
    assert_string_equal(report.output_ids.items[0], again.output_ids.items[0]); /* CYCLE without a cycle */
    tidy = node_of(f, clean.output_ids.items[0]);
    assert_int_equal(tidy.parent_ids.count, 3);
    assert_string_equal(tidy.parent_ids.items[0], clean.id);
    assert_string_equal(tidy.parent_ids.items[2], again.id);
    revision = tidy.revision;
    /* a deleted task is no parent any more, and the data node's representation has changed */
    assert_true(fixture_apply(f, apply_delete, &(struct delete_input){report.id, -1}));
    tidy = node_of(f, clean.output_ids.items[0]);
    assert_int_equal(tidy.parent_ids.count, 2);
    assert_int_equal(tidy.revision, revision + 1);
    /* another version of the application shares nothing with this one */
    application.version = "2.0";
    struct task other = fixture_create(f, CLEAN);
    application.version = "1.0";
    assert_string_not_equal(other.output_ids.items[0], clean.output_ids.items[0]);
}

static void one_node_for_one_config_of_a_task(void **state)
{
    struct fixture *f = *state;
    const struct data_node_config *both[2] = {&node_configs[NB], &node_configs[NB]};
    struct task_config before = task_configs[DOUBLE];

    task_configs[DOUBLE].inputs = both;
    task_configs[DOUBLE].input_count = 2;
    task_configs[DOUBLE].outputs = &both[1];
    struct task task = fixture_create(f, DOUBLE);
    task_configs[DOUBLE] = before;
    assert_int_equal(task.input_ids.count, 2);
    assert_string_equal(task.input_ids.items[0], task.input_ids.items[1]);
    assert_string_equal(task.input_ids.items[0], task.output_ids.items[0]);
    fixture_submit(f, task.id);
}

static void a_users_own_file_counts_from_the_beginning(void **state)
{
    struct fixture *f = *state;

    node_configs[MINE].path = fixture_path(f, "mine.json");
    struct task before = fixture_create(f, EXPORT);
    assert_int_equal(node_of(f, before.output_ids.items[0]).last_edit_ms, 0);
    assert_true(file_write_durable(node_configs[MINE].path, "1", 1, 0600, &f->fault));
    struct task after = fixture_create(f, EXPORT);
    struct data_node mine = node_of(f, after.output_ids.items[0]);
    assert_int_not_equal(mine.last_edit_ms, 0);
    assert_null(mine.file);
    assert_string_equal(mine.path, node_configs[MINE].path);
    node_configs[MINE].path = NULL;
}

/* ---- a file system that does not answer ---- */

static sem_t answers;

static int64_t held_time(const char *path)
{
    while (sem_wait(&answers) < 0) {
    }
    return 7;
}

struct held_creation {
    struct creation_input in;
    struct looker *looker;
};
static bool apply_create_held(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct held_creation *held = change->input;
    struct looker *usual = txn->looker;

    txn->looker = held->looker;
    bool ok = apply_create(txn, change, fault);
    txn->looker = usual;
    return ok;
}

/* What is not known must not be taken for a decision that nobody looks at again. */
static void a_default_does_not_stand_in_for_a_file_that_cannot_be_seen(void **state)
{
    struct fixture *f = *state;
    struct held_creation held = {
        .in.config = DOUBLE,
        .looker = looker_new(&(struct looker_options){.patience_ms = 1, .time_of = held_time}),
    };

    assert_int_equal(sem_init(&answers, 0, 0), 0);
    node_configs[NB].path = "/far/nb.p";
    assert_false(fixture_apply(f, apply_create_held, &held));
    assert_int_equal(f->fault.kind, FAULT_UNAVAILABLE);
    assert_int_not_equal(f->fault.retry_after_s, 0);
    assert_null(strstr(f->fault.message, "/far"));
    assert_int_equal(
        fixture_number(f, "SELECT count(*) FROM task") + fixture_number(f, "SELECT count(*) FROM data_node"), 0);

    /* without a default it begins unwritten, and is looked for again */
    node_configs[NB].default_file = NULL;
    assert_true(fixture_apply(f, apply_create_held, &held));
    struct job job = fixture_submit(f, held.in.task.id);
    assert_int_equal(job.status, JOB_BLOCKED);
    node_configs[NB].default_file = "defaults/nb.p";
    node_configs[NB].path = NULL;
    for (int i = 0; i <= LOOKER_THREADS; i++)
        sem_post(&answers);
    looker_free(held.looker);
}

static void reuse_gives_the_same_task(void **state)
{
    struct fixture *f = *state;
    struct creation_input one = {.config = DOUBLE, .reuse = true}, two = one;

    assert_true(fixture_apply(f, apply_create, &one));
    assert_true(fixture_apply(f, apply_create, &two));
    assert_string_equal(one.task.id, two.task.id);
    assert_string_equal(one.task.input_ids.items[0], two.task.input_ids.items[0]);
    application.version = "2.0";
    assert_true(fixture_apply(f, apply_create, &two));
    application.version = "1.0";
    assert_string_not_equal(one.task.id, two.task.id);
}

static void deletion(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE), gone;
    struct job job = fixture_submit(f, task.id);
    struct job_start start;

    assert_false(fixture_apply(f, apply_delete, &(struct delete_input){task.id, -1}));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    start = fixture_start(f, job.id);
    assert_false(fixture_apply(f, apply_delete, &(struct delete_input){task.id, -1}));
    fixture_end(f, &start, JOB_COMPLETED);

    assert_false(fixture_apply(f, apply_delete, &(struct delete_input){task.id, 7}));
    assert_int_equal(f->fault.kind, FAULT_PRECONDITION);
    assert_true(fixture_apply(f, apply_delete, &(struct delete_input){task.id, 1}));
    assert_false(fixture_apply(f, apply_delete, &(struct delete_input){task.id, -1}));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
    assert_string_equal(f->fault.message, arena_printf(&f->arena, "Task: %s does not exist.", task.id));

    f->fault = (struct fault){0};
    assert_false(store_find_task(f->reader, &ALL, task.id, &f->arena, &gone, &f->fault));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
    assert_status(f, job.id, COMPLETED);                             /* finished jobs stay */
    struct data_node doubled = node_of(f, task.output_ids.items[0]); /* and data nodes, without this parent */
    assert_int_equal(doubled.parent_ids.count, 0);
    assert_non_null(doubled.file);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task_data_node"), 0);
}

static bool apply_create_for_nobody(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct task_creation creation = {.manifest = &application, .config = &task_configs[DOUBLE], .created_by = "eve"};
    struct task task;

    return txn_create_task(txn, &(struct scope){0}, &creation, &change->arena, &task, fault);
}

static void a_scope_of_nothing_sees_and_makes_nothing(void **state)
{
    struct fixture *f = *state;
    const struct scope nothing = {0};
    struct task task = fixture_create(f, DOUBLE);
    struct job job = fixture_submit(f, task.id);
    struct list_position at = {0};
    struct list_query query = {.status = -1};
    struct data_node node;
    struct task tasks[4];
    size_t count;

    assert_false(fixture_apply(f, apply_create_for_nobody, NULL));
    assert_int_equal(f->fault.kind, FAULT_FORBIDDEN);
    f->fault = (struct fault){0};
    assert_false(store_find_task(f->reader, &nothing, task.id, &f->arena, &task, &f->fault));
    assert_string_equal(f->fault.message, arena_printf(&f->arena, "Task: %s does not exist.", task.id));
    assert_false(store_find_job(f->reader, &nothing, job.id, &f->arena, &job, NULL));
    assert_false(store_find_data_node(f->reader, &nothing, task.input_ids.items[0], &f->arena, &node, NULL));
    assert_true(store_list_tasks(f->reader, &nothing, &query, &at, 4, &f->arena, tasks, &count, &f->fault));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_task_is_read_as_it_was_created),
        T(a_command_has_no_module),
        T(scenario_nodes_are_its_own),
        T(global_and_cycle_nodes_are_shared),
        T(one_node_for_one_config_of_a_task),
        T(a_users_own_file_counts_from_the_beginning),
        T(a_default_does_not_stand_in_for_a_file_that_cannot_be_seen),
        T(reuse_gives_the_same_task),
        T(deletion),
        T(a_scope_of_nothing_sees_and_makes_nothing),
    };

    return cmocka_run_group_tests_name("store_tasks", tests, NULL, NULL);
}
