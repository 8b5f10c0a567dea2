/* bailiff jobs. */
#include "app/remote.h"

/* ---- jobs list, show ---- */
static int run_list(struct call *call)
{
    static const struct column COLUMNS[] = {
        {"ID", "id", CELL_TEXT},
        {"STATUS", "status", CELL_NAME},
        {"CREATED", "creation_date", CELL_TIME},
        {"RAN", "duration_ms", CELL_DURATION},
        {"BY", "submitted_by", CELL_TEXT},
    };
    static const char *const FILTERS[] = {"status",        "config-id",      "task-id",
                                          "submission-id", "owner-id",       "version",
                                          "created-after", "created-before", NULL};
    static const struct listing LISTING = {"/api/v1/jobs/", "-creation_date", COLUMNS, ARRAY_LEN(COLUMNS), FILTERS};

    return remote_list(call, &LISTING);
}

static int run_show(struct call *call)
{
    return remote_show(call, "jobs", "job");
}

static const struct command_option LIST_OPTIONS[] = {
    {"status", "STATUS", false, false, "in this status, or one of these: RUNNING,PENDING"},
    {"config-id", "ID", false, false, "of tasks of this configuration"},
    {"task-id", "ID", false, false, "of this task"},
    {"submission-id", "ID", false, false, "of this submission"},
    {"owner-id", "ID", false, false, "of tasks of this scenario or cycle"},
    {"version", "VERSION", false, false, "of this version of the application"},
    LIST_OPTIONS_COMMON,
    CLIENT_OPTIONS,
};
static const struct command_option PLAIN_OPTIONS[] = {CLIENT_OPTIONS};
static const struct command_option POST_OPTIONS[] = {KEY_OPTION, CLIENT_OPTIONS};

const struct command COMMAND_JOBS_LIST = {
    .name = "jobs list",
    .summary = "lists jobs, the newest first",
    .about = LIST_ABOUT,
    .client = true,
    .options = LIST_OPTIONS,
    .option_count = ARRAY_LEN(LIST_OPTIONS),
    .run = run_list,
};

const struct command COMMAND_JOBS_SHOW = {
    .name = "jobs show",
    .summary = "shows a job",
    .about = SHOW_ABOUT,
    .operand = "JOB",
    .client = true,
    .options = PLAIN_OPTIONS,
    .option_count = ARRAY_LEN(PLAIN_OPTIONS),
    .run = run_show,
};

/* ---- jobs log ---- */
static int run_log(struct call *call)
{
    struct remote r = {0};
    int status = remote_open(&r, call);

    if (status == STATUS_OK)
        status = call_has(call, "follow") ? remote_follow(&r, call->operand) : remote_log(&r, call->operand, false);
    remote_done(&r);
    return status;
}

static const struct command_option LOG_OPTIONS[] = {
    {"follow", NULL, false, false, "go on as it grows, until the job's end"},
    RAW_OPTION,
    SERVER_OPTIONS,
};

const struct command COMMAND_JOBS_LOG = {
    .name = "jobs log",
    .summary = "prints what a job wrote to its output",
    .about = "On a terminal, control characters in the log are shown, not obeyed, unless --raw is given; elsewhere its "
             "bytes\n"
             "are as they were written. With --follow the exit status says how the job ended.\n",
    .operand = "JOB",
    .client = true,
    .options = LOG_OPTIONS,
    .option_count = ARRAY_LEN(LOG_OPTIONS),
    .run = run_log,
};

/* ---- jobs create, submit, delete ---- */
static int run_create(struct call *call)
{
    return remote_create(call, "/api/v1/jobs/", "task_id", "job");
}

static int run_submit(struct call *call)
{
    return remote_submit_to(call, "jobs");
}

static int run_delete(struct call *call)
{
    return remote_delete(call, "jobs");
}

static const struct command_option SUBMIT_OPTIONS[] = {SUBMIT_OPTIONS_COMMON};

const struct command COMMAND_JOBS_CREATE = {
    .name = "jobs create",
    .summary = "makes a task of a configuration with a job, and prints the job's id",
    .about = "The job does not run until it is submitted: bailiff jobs submit JOB\n",
    .operand = "CONFIGURATION",
    .client = true,
    .options = POST_OPTIONS,
    .option_count = ARRAY_LEN(POST_OPTIONS),
    .run = run_create,
};

const struct command COMMAND_JOBS_SUBMIT = {
    .name = "jobs submit",
    .summary = "submits a job that was created and did not run yet",
    .about = SUBMIT_ABOUT,
    .operand = "JOB",
    .client = true,
    .options = SUBMIT_OPTIONS,
    .option_count = ARRAY_LEN(SUBMIT_OPTIONS),
    .run = run_submit,
};

const struct command COMMAND_JOBS_DELETE = {
    .name = "jobs delete",
    .summary = "deletes a job that has ended, with its log",
    .about = "What it wrote into data nodes stays.\n",
    .operand = "JOB",
    .client = true,
    .options = PLAIN_OPTIONS,
    .option_count = ARRAY_LEN(PLAIN_OPTIONS),
    .run = run_delete,
};

/* ---- jobs cancel ---- */
/* 204: it was waiting, and is canceled. 202: it runs, and is being stopped. JSON is one document in both cases: the job. */
static int cancel(struct remote *r, const char *id)
{
    own(caller_answer_done) struct caller_answer answer = {0};
    own(json_freep) json_t *job = NULL;
    const char *path = remote_path(r, "jobs/cancel", id, "");
    int status =
        path ? remote_send(r, &(struct caller_request){.method = "POST", .path = path}, &answer) : STATUS_USAGE;

    if (status == STATUS_OK && r->json)
        status = remote_read_job(r, id, &job);
    if (status != STATUS_OK)
        return status;
    if (r->json) {
        own(json_freep) json_t *document = json_pack("{sO}", "job", job);

        remote_print_json(r, document);
    } else {
        fprintf(r->call->out, "Job %s %s.\n", id, answer.status == 202 ? "is being stopped" : "was canceled");
    }
    return STATUS_OK;
}

static int run_cancel(struct call *call)
{
    struct remote r = {0};
    int status = remote_open(&r, call);

    if (status == STATUS_OK)
        status = cancel(&r, call->operand);
    remote_done(&r);
    return status;
}

const struct command COMMAND_JOBS_CANCEL = {
    .name = "jobs cancel",
    .summary = "cancels a job, also a running one",
    .about = "A job that waits is canceled at once; a running one is canceled when nothing of it is left. With --json "
             "the job is\n"
             "printed as it is then.\n",
    .operand = "JOB",
    .client = true,
    .options = POST_OPTIONS,
    .option_count = ARRAY_LEN(POST_OPTIONS),
    .run = run_cancel,
};
