/* What the subcommands share that are clients of a running server: where it is, asking it, saying what it answered. Main thread. */
#ifndef APP_REMOTE_H
#define APP_REMOTE_H

#include "app/command.h"
#include "app/shown.h"
#include "bailiff/caller.h"
#include "bailiff/json.h"

struct remote {
    struct call *call;
    struct arena arena;
    struct caller *caller;
    const char *where;      /* the server, as it is named in messages */
    const char *token_file; /* for messages; NULL: none */
    bool json;
    bool reached; /* it answered something: should it be away now, it may come back */
};

/* From options, environment and profile. Complains, and returns the status to exit with. */
must_check int remote_open(struct remote *r, struct call *call);
void remote_done(struct remote *r);

/* One request: STATUS_OK if the answer's status is 2xx, else what to exit with; why is said. A POST has an Idempotency-Key (the option
 * --idempotency-key, or a random one), and so is sent again, once, if the connection broke. */
must_check int remote_send(struct remote *r, const struct caller_request *request, struct caller_answer *ret);
/* The same, and reads the answer, which must be JSON. */
must_check int remote_ask(struct remote *r, const struct caller_request *request, json_t **ret_document);
must_check int remote_get(struct remote *r, const char *path, json_t **ret_document);
/* "/api/v1/<collection>/<id>/<more>"; NULL, and it is said, if that is no id. */
const char *remote_path(struct remote *r, const char *collection, const char *id, const char *more);
/* What an answer that is not 2xx says; returns the status to exit with. */
int remote_refused(struct remote *r, const struct caller_answer *answer);
int remote_unreached(struct remote *r, enum caller_end end, const struct fault *fault);
/* "bailiff: …" for people, beside the output proper. */
void remote_note(struct remote *r, const char *format, ...) printf_like(2, 3);

/* Adds "name=value" to a path, percent-encoded. */
void query_add(struct text *path, const char *name, const char *value);

/* ---- showing ---- */
void remote_print_json(struct remote *r, const json_t *document);    /* one document, one line */
void remote_print_entity(struct remote *r, const json_t *entity);    /* one member a line */
void remote_print_message(struct remote *r, const json_t *document); /* its `message` */
/* "Status.COMPLETED" of Taipy's wire and "COMPLETED" are the same. NULL stays NULL. */
const char *plain_name(const char *name);

/* ---- lists ---- */
enum cell { CELL_TEXT, CELL_TIME, CELL_NAME, CELL_DURATION, CELL_COUNT };
struct column {
    const char *title, *member;
    enum cell cell;
};
struct listing {
    const char *path;             /* "/api/v1/tasks/" */
    const char *sort;             /* newest first */
    const struct column *columns; /* the first is "id" */
    size_t column_count;
    const char *const *filters; /* options that are parameters of the same name, with "_" for "-"; NULL-terminated */
};
int remote_list(struct call *call, const struct listing *listing);

/* ---- jobs ---- */
struct submitting {
    bool wait, follow;
    uint64_t wait_ms;
};
/* From --wait and --follow. */
must_check bool submitting_read(struct call *call, struct submitting *ret);
/* POST to a path that submits; then waits or follows as asked, and prints what became of it. */
int remote_submit(struct remote *r, const char *path, const char *body, const struct submitting *how);
const char *job_status_shown(const json_t *job); /* "RUNNING"; never NULL */
bool job_has_ended(const json_t *job);
/* Says what became of a job that did not end well, or not yet; returns the status to exit with. */
int remote_judge(struct remote *r, const json_t *job);
/* Follows the log of a job to its end, and judges it. */
int remote_follow(struct remote *r, const char *job_id);
/* Copies a job's log to the output, over broken connections; as it grows, to the job's end, if `follow`. */
must_check int remote_log(struct remote *r, const char *job_id, bool follow);
/* A server that is away or overloaded for a moment is asked again. *ret is the job itself. */
must_check int remote_read_job(struct remote *r, const char *job_id, json_t **ret_job);

struct patience {     /* with a server that starts again */
    int64_t until_ms; /* 0: nothing is wrong */
};
/* Sleeps a moment; false: it is over. With a server that never answered there is none. */
bool patience_left(const struct remote *r, struct patience *p);
/* Whether another try may help. */
bool answer_is_passing(enum caller_end end, const struct caller_answer *answer);

/* ---- what the commands of several resources do alike ---- each is a whole command */
int remote_show(struct call *call, const char *collection, const char *key);
int remote_create(struct call *call, const char *path, const char *parameter, const char *key);
int remote_delete(struct call *call, const char *collection);
int remote_submit_to(struct call *call, const char *collection);

#define SERVER_OPTIONS                                                                                             \
    {"profile", "NAME", false, false, "a profile of the client's file (else $BAILIFF_PROFILE, else its default)"}, \
        {"url", "URL", false, false, "the server (else $BAILIFF_URL); nothing is taken from the default profile"}, \
        {"ca", "FILE", false, false, "the CAs that its certificate is checked by (else $BAILIFF_CA)"},             \
    {                                                                                                              \
        "token-file", "FILE", false, false, "a file with the token (else $BAILIFF_TOKEN_FILE)"                     \
    }
#define CLIENT_OPTIONS                                        \
    SERVER_OPTIONS,                                           \
    {                                                         \
        "json", NULL, false, false, "print the server's JSON" \
    }
#define KEY_OPTION                                                                                                     \
    {                                                                                                                  \
        "idempotency-key", "KEY", false, false, "given again within 24 h, with the same request: it is not done again" \
    }
#define SUBMIT_OPTIONS_COMMON                                                           \
    WAIT_OPTIONS, {"force", NULL, false, false, "run it even if it could be skipped"},  \
        {"timeout", "TIME", false, false, "end an attempt that takes longer: 90s, 5m"}, \
        {"retries", "N", false, false, "try again so often if it fails or takes too long"}, KEY_OPTION, CLIENT_OPTIONS
#define WAIT_OPTIONS                                                                                     \
    {"wait", "TIME", false, false, "wait so long for the job's end: 90s, 5m; a bare number is seconds"}, \
        {"follow", NULL, false, false, "print the job's log as it grows, until its end"}, RAW_OPTION
#define RAW_OPTION                                                                         \
    {                                                                                      \
        "raw", NULL, false, false, "print the log's bytes as they are, also on a terminal" \
    }
#define LIST_OPTIONS_COMMON                                                                          \
    {"created-after", "TIME", false, false, "made after this (RFC 3339), or so long ago: 90m, 24h"}, \
        {"created-before", "TIME", false, false, "made before this"},                                \
        {"sort", "MEMBER", false, false, "by this member; with \"-\" before it, in falling order"},  \
        {"limit", "N", false, false, "at most so many (default 50)"},                                \
    {                                                                                                \
        "all", NULL, false, false, "all of them"                                                     \
    }
#define LIST_ABOUT                                                                                                 \
    "A table, in local time; or with --json an array, one element a line, which is not closed if the list breaks " \
    "off.\n"
#define SUBMIT_ABOUT                                                                                                   \
    "With --wait or --follow the exit status says how the job ended. --follow prints its log on standard output, and " \
    "all\n"                                                                                                            \
    "else on standard error. On a terminal, control characters in the log are shown, not obeyed, unless --raw is "     \
    "given.\n"
#define SHOW_ABOUT "One member a line; what has no value is \"-\".\n"

#endif
