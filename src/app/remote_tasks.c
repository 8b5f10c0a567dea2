/* bailiff tasks, bailiff submissions. */
#include "app/remote.h"

/* ---- tasks list ---- */
static int run_list(struct call *call)
{
    static const struct column COLUMNS[] = {
        {"ID", "id", CELL_TEXT},
        {"CONFIGURATION", "config_id", CELL_TEXT},
        {"CREATED", "created_at", CELL_TIME},
        {"BY", "created_by", CELL_TEXT},
    };
    static const char *const FILTERS[] = {"config-id", "owner-id", "version", "created-after", "created-before", NULL};
    static const struct listing LISTING = {"/api/v1/tasks/", "-created_at", COLUMNS, ARRAY_LEN(COLUMNS), FILTERS};

    return remote_list(call, &LISTING);
}

static const struct command_option LIST_OPTIONS[] = {
    {"config-id", "ID", false, false, "of this task configuration"},
    {"owner-id", "ID", false, false, "of this scenario or cycle"},
    {"version", "VERSION", false, false, "of this version of the application"},
    LIST_OPTIONS_COMMON,
    CLIENT_OPTIONS,
};

const struct command COMMAND_TASKS_LIST = {
    .name = "tasks list",
    .summary = "lists tasks, the newest first",
    .about = LIST_ABOUT,
    .client = true,
    .options = LIST_OPTIONS,
    .option_count = ARRAY_LEN(LIST_OPTIONS),
    .run = run_list,
};

/* ---- tasks show, create, delete ---- */
static int run_show(struct call *call)
{
    return remote_show(call, "tasks", "task");
}

static int run_create(struct call *call)
{
    return remote_create(call, "/api/v1/tasks/", "config_id", "task");
}

static int run_delete(struct call *call)
{
    return remote_delete(call, "tasks");
}

static const struct command_option SHOW_OPTIONS[] = {CLIENT_OPTIONS};
static const struct command_option CREATE_OPTIONS[] = {KEY_OPTION, CLIENT_OPTIONS};

const struct command COMMAND_TASKS_SHOW = {
    .name = "tasks show",
    .summary = "shows a task",
    .about = SHOW_ABOUT,
    .operand = "TASK",
    .client = true,
    .options = SHOW_OPTIONS,
    .option_count = ARRAY_LEN(SHOW_OPTIONS),
    .run = run_show,
};

const struct command COMMAND_TASKS_CREATE = {
    .name = "tasks create",
    .summary = "makes a task of a configuration, and prints its id",
    .about = "    TASK=$(bailiff tasks create clean) && bailiff tasks submit $TASK --follow\n",
    .operand = "CONFIGURATION",
    .client = true,
    .options = CREATE_OPTIONS,
    .option_count = ARRAY_LEN(CREATE_OPTIONS),
    .run = run_create,
};

const struct command COMMAND_TASKS_DELETE = {
    .name = "tasks delete",
    .summary = "deletes a task that has no unfinished job",
    .about = "What it wrote, and its finished jobs, stay.\n",
    .operand = "TASK",
    .client = true,
    .options = SHOW_OPTIONS,
    .option_count = ARRAY_LEN(SHOW_OPTIONS),
    .run = run_delete,
};

/* ---- tasks submit ---- */
static int run_submit(struct call *call)
{
    return remote_submit_to(call, "tasks");
}

static const struct command_option SUBMIT_OPTIONS[] = {SUBMIT_OPTIONS_COMMON};

const struct command COMMAND_TASKS_SUBMIT = {
    .name = "tasks submit",
    .summary = "makes a job of a task, and prints the job's id",
    .about = SUBMIT_ABOUT,
    .operand = "TASK",
    .client = true,
    .options = SUBMIT_OPTIONS,
    .option_count = ARRAY_LEN(SUBMIT_OPTIONS),
    .run = run_submit,
};

/* ---- submissions ---- */
static int run_submissions_list(struct call *call)
{
    static const struct column COLUMNS[] = {
        {"ID", "id", CELL_TEXT},         {"STATUS", "status", CELL_NAME},         {"OF", "entity_id", CELL_TEXT},
        {"JOBS", "job_ids", CELL_COUNT}, {"CREATED", "creation_date", CELL_TIME}, {"BY", "submitted_by", CELL_TEXT},
    };
    static const char *const FILTERS[] = {"status",        "config-id",      "entity-id", "version",
                                          "created-after", "created-before", NULL};
    static const struct listing LISTING = {"/api/v1/submissions/", "-creation_date", COLUMNS, ARRAY_LEN(COLUMNS),
                                           FILTERS};

    return remote_list(call, &LISTING);
}

static int run_submissions_show(struct call *call)
{
    return remote_show(call, "submissions", "submission");
}

static const struct command_option SUBMISSIONS_OPTIONS[] = {
    {"status", "STATUS", false, false, "in this status, or one of these: FAILED,CANCELED"},
    {"config-id", "ID", false, false, "of this configuration of what was submitted"},
    {"entity-id", "ID", false, false, "of this task, sequence or scenario"},
    {"version", "VERSION", false, false, "of this version of the application"},
    LIST_OPTIONS_COMMON,
    CLIENT_OPTIONS,
};

const struct command COMMAND_SUBMISSIONS_LIST = {
    .name = "submissions list",
    .summary = "lists submissions, the newest first",
    .about = LIST_ABOUT,
    .client = true,
    .options = SUBMISSIONS_OPTIONS,
    .option_count = ARRAY_LEN(SUBMISSIONS_OPTIONS),
    .run = run_submissions_list,
};

const struct command COMMAND_SUBMISSIONS_SHOW = {
    .name = "submissions show",
    .summary = "shows a submission: its status follows from its jobs'",
    .about = SHOW_ABOUT,
    .operand = "SUBMISSION",
    .client = true,
    .options = SHOW_OPTIONS,
    .option_count = ARRAY_LEN(SHOW_OPTIONS),
    .run = run_submissions_show,
};
