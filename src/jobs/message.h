/* The messages of PROTOCOL.md as checked structs. Whoever sent them may be hostile: each member's type and range is
 * checked here, once, before anybody looks at it. Pure. */
#ifndef JOBS_MESSAGE_H
#define JOBS_MESSAGE_H

#include "bailiff/json.h"

enum {
    PROTOCOL_VERSION = 1,
    MESSAGE_PATH_MAX = 4000, /* leaves room for what is put behind it */
    MESSAGE_NODES_MAX = 1000,
    MESSAGE_STRINGS_MAX = 4096,
};

/* ---- towards the users' code ---- */
#define REQUEST_OPS(X)            \
    X(REQUEST_HELLO, "hello")     \
    X(REQUEST_LOAD, "load")       \
    X(REQUEST_START, "start")     \
    X(REQUEST_CANCEL, "cancel")   \
    X(REQUEST_READ, "read")       \
    X(REQUEST_PUBLISH, "publish") \
    X(REQUEST_RELEASE, "release") \
    X(REQUEST_FORGET, "forget")   \
    X(REQUEST_PING, "ping")
/* ---- towards the server ---- */
#define ANSWER_OPS(X)                \
    X(ANSWER_HELLO, "hello")         \
    X(ANSWER_LOADED, "loaded")       \
    X(ANSWER_ENDED, "ended")         \
    X(ANSWER_READ, "read")           \
    X(ANSWER_PUBLISHED, "published") \
    X(ANSWER_PONG, "pong")
#define ATTEMPT_RESULTS(X)            \
    X(ATTEMPT_COMPLETED, "completed") \
    X(ATTEMPT_FAILED, "failed")       \
    X(ATTEMPT_CANCELED, "canceled")   \
    X(ATTEMPT_TIMED_OUT, "timed_out") \
    X(ATTEMPT_LOST, "lost")           \
    X(ATTEMPT_UNSTARTED, "unstarted")
#define X(name, wire) name,
enum request_op { REQUEST_OPS(X) REQUEST_OP_COUNT };
enum answer_op { ANSWER_OPS(X) ANSWER_OP_COUNT };
enum attempt_result { ATTEMPT_RESULTS(X) ATTEMPT_RESULT_COUNT };
#undef X
const char *attempt_result_name(enum attempt_result result);

/* Text and arrays belong to `json`; what an op does not have is NULL or 0. */
struct request {
    json_t *json;
    enum request_op op;
    int64_t protocol, attempt, number; /* number: member `request` */
    const char *python, *package, *storage, *work;
    int64_t workers_max, log_max_bytes;
    const char *application;
    int64_t nth; /* of the job's attempts, from 1 */
    const char *job, *kind, *root, *module, *function;
    int64_t timeout_ms, grace_ms;
    json_t *inputs, *outputs, *argv, *environment;
    const char *storage_type, *path, *source, *result;
    json_t *properties, *filter;
};
/* An element of inputs or outputs. */
struct node_message {
    const char *id, *config_id, *storage_type, *path; /* path: NULL for an output that has none yet */
    json_t *properties;
};
must_check bool node_message_read(json_t *object, struct node_message *ret_node);

must_check bool request_read(struct span body, struct request *ret_request, struct fault *fault);
void request_done(struct request *request);
bool request_is_command(const struct request *request);

struct answer {
    json_t *json;
    enum answer_op op;
    int64_t protocol, uid, pid, attempt, number;
    const char *work, *result_name, *error, *stacktrace, *kind;
    bool ok, storage_readable;
    bool exited, signaled; /* exit_code, signal are valid */
    int64_t exit_code, signal;
    enum attempt_result result;
    json_t *outputs, *errors, *exceptions;
};
must_check bool answer_read(struct span body, struct answer *ret_answer, struct fault *fault);
void answer_done(struct answer *answer);

/* ---- a worker's answer ---- */
struct worker_answer {
    json_t *json;
    const char *op;
    bool ok, restart;
    const char *error, *stacktrace, *kind;
    json_t *exceptions; /* array of strings, or NULL */
};
must_check bool worker_answer_read(struct span body, struct worker_answer *ret_answer, struct fault *fault);
void worker_answer_done(struct worker_answer *answer);

/* One line of what may be several, control characters taken out, cut to a sane length. */
void message_one_line(struct text *out, const char *text);

#endif
