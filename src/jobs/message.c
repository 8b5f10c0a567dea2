#include "jobs/message.h"

#include "jobs/frame.h"

enum kind {
    TEXT,         /* const char *: not empty */
    TEXT_OR_NULL, /* const char *: absent or null is NULL */
    PATH,         /* const char *: absolute */
    JOB_ID,       /* const char *: fit to be a file's name */
    NUMBER,       /* int64_t: 0 … 2^53 */
    POSITIVE,     /* int64_t: 1 … 2^53 */
    CODE_OR_NULL, /* int64_t and, behind it in the table, FLAG: whether it is there */
    BOOLEAN,      /* bool: absent is false */
    OBJECT,       /* json_t * */
    OBJECT_OR_NULL,
    STRINGS,         /* json_t *: array of strings */
    STRINGS_OR_NULL, /* absent or null is NULL */
    NODES,           /* json_t *: array of data nodes */
    ENVIRONMENT,     /* json_t *: object of strings, or NULL */
    ERRORS,          /* json_t *: array of {file, line, message}, or NULL */
};

struct member {
    const char *name; /* NULL: end of the table */
    enum kind kind;
    size_t offset, flag;
};
#define R(name, kind, field)                           \
    {                                                  \
        name, kind, offsetof(struct request, field), 0 \
    }
#define A(name, kind, field)                          \
    {                                                 \
        name, kind, offsetof(struct answer, field), 0 \
    }
#define A_CODE(name, field, has)                                                         \
    {                                                                                    \
        name, CODE_OR_NULL, offsetof(struct answer, field), offsetof(struct answer, has) \
    }
#define N(name, kind, field)                                \
    {                                                       \
        name, kind, offsetof(struct node_message, field), 0 \
    }
#define W(name, kind, field)                                 \
    {                                                        \
        name, kind, offsetof(struct worker_answer, field), 0 \
    }

static const struct member NODE_MEMBERS[] = {
    N("id", TEXT, id),
    N("config_id", TEXT, config_id),
    N("storage_type", TEXT, storage_type),
    N("properties", OBJECT, properties),
    N("path", TEXT_OR_NULL, path),
    {0},
};

static const struct member REQUEST_MEMBERS[REQUEST_OP_COUNT][16] = {
    [REQUEST_HELLO] = {R("protocol", POSITIVE, protocol), R("python", PATH, python), R("package", PATH, package),
                       R("storage", TEXT_OR_NULL, storage), R("work", TEXT_OR_NULL, work),
                       R("workers_max", POSITIVE, workers_max), R("log_max_bytes", NUMBER, log_max_bytes)},
    [REQUEST_LOAD] = {R("request", POSITIVE, number), R("application", PATH, application)},
    [REQUEST_START] = {R("attempt", POSITIVE, attempt), R("job", JOB_ID, job), R("nth", POSITIVE, nth),
                       R("kind", TEXT, kind), R("root", PATH, root), R("inputs", NODES, inputs),
                       R("outputs", NODES, outputs), R("timeout_ms", NUMBER, timeout_ms),
                       R("grace_ms", NUMBER, grace_ms), R("module", TEXT_OR_NULL, module),
                       R("function", TEXT_OR_NULL, function), R("argv", STRINGS_OR_NULL, argv),
                       R("environment", ENVIRONMENT, environment), R("work", TEXT_OR_NULL, work)},
    [REQUEST_CANCEL] = {R("attempt", POSITIVE, attempt)},
    [REQUEST_READ] = {R("request", POSITIVE, number), R("root", PATH, root), R("storage_type", TEXT, storage_type),
                      R("path", PATH, path), R("properties", OBJECT, properties), R("filter", OBJECT_OR_NULL, filter),
                      R("result", TEXT_OR_NULL, result)},
    [REQUEST_PUBLISH] = {R("request", POSITIVE, number), R("source", PATH, source), R("path", PATH, path)},
    [REQUEST_RELEASE] = {R("attempt", POSITIVE, attempt)},
    [REQUEST_FORGET] = {R("request", POSITIVE, number)},
    [REQUEST_PING] = {R("request", POSITIVE, number)},
};

static const struct member ANSWER_MEMBERS[ANSWER_OP_COUNT][16] = {
    [ANSWER_HELLO] = {A("protocol", POSITIVE, protocol), A("uid", NUMBER, uid), A("pid", POSITIVE, pid),
                      A("work", PATH, work), A("storage_readable", BOOLEAN, storage_readable)},
    [ANSWER_LOADED] = {A("request", POSITIVE, number), A("ok", BOOLEAN, ok), A("errors", ERRORS, errors)},
    [ANSWER_ENDED] = {A("attempt", POSITIVE, attempt), A("result", TEXT, result_name),
                      A_CODE("exit_code", exit_code, exited), A_CODE("signal", signal, signaled),
                      A("error", TEXT_OR_NULL, error), A("stacktrace", TEXT_OR_NULL, stacktrace),
                      A("outputs", STRINGS_OR_NULL, outputs), A("exceptions", STRINGS_OR_NULL, exceptions)},
    [ANSWER_READ] = {A("request", POSITIVE, number), A("ok", BOOLEAN, ok), A("kind", TEXT_OR_NULL, kind),
                     A("error", TEXT_OR_NULL, error)},
    [ANSWER_PUBLISHED] = {A("request", POSITIVE, number), A("ok", BOOLEAN, ok), A("error", TEXT_OR_NULL, error)},
    [ANSWER_PONG] = {A("request", POSITIVE, number)},
};

static const struct member WORKER_MEMBERS[] = {
    W("op", TEXT, op),
    W("ok", BOOLEAN, ok),
    W("restart", BOOLEAN, restart),
    W("error", TEXT_OR_NULL, error),
    W("stacktrace", TEXT_OR_NULL, stacktrace),
    W("kind", TEXT_OR_NULL, kind),
    W("exceptions", STRINGS_OR_NULL, exceptions),
    {0},
};

static const char *const REQUEST_NAMES[] = {
#define X(name, wire) wire,
    REQUEST_OPS(X)};
static const char *const ANSWER_NAMES[] = {ANSWER_OPS(X)};
static const char *const RESULT_NAMES[] = {ATTEMPT_RESULTS(X)};
#undef X

const char *attempt_result_name(enum attempt_result result)
{
    return RESULT_NAMES[result];
}

static bool name_find(const char *const *names, size_t count, const char *wanted, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], wanted) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

static bool is_path(const char *text)
{
    return text && text[0] == '/' && strlen(text) <= MESSAGE_PATH_MAX;
}

static bool is_id(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    for (size_t i = 0; i < len; i++)
        if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= 'A' && text[i] <= 'Z') &&
            !(text[i] >= '0' && text[i] <= '9') && text[i] != '_' && text[i] != '-')
            return false;
    return len >= 1 && len <= 200;
}

static bool is_strings(const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) > MESSAGE_STRINGS_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return true;
}

static bool is_environment(json_t *value)
{
    const char *name;
    json_t *text;

    if (!json_is_object(value) || json_object_size(value) > MESSAGE_STRINGS_MAX)
        return false;
    json_object_foreach (value, name, text)
        if (name[0] == '\0' || strchr(name, '=') || !json_is_string(text))
            return false;
    return true;
}

static bool is_errors(const json_t *value)
{
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *error = json_array_get(value, i);
        if (!json_is_object(error) || !json_is_string(json_object_get(error, "message")))
            return false;
    }
    return true;
}

static bool members_read(json_t *object, const struct member *members, void *out);

static bool is_nodes(const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) > MESSAGE_NODES_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct node_message node;
        if (!node_message_read(json_array_get(value, i), &node))
            return false;
    }
    return true;
}

static bool number_read(const json_t *value, int64_t min, int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > FRAME_NUMBER_MAX)
        return false;
    *out = json_integer_value(value);
    return true;
}

static bool json_take(json_t *value, bool fits, void *out)
{
    if (fits)
        *(json_t **)out = value;
    return fits;
}

static bool text_take_member(const json_t *value, bool fits, void *out)
{
    if (fits)
        *(const char **)out = json_string_value(value);
    return fits;
}

static bool member_read(json_t *value, const struct member *member, void *out)
{
    bool absent = !value || json_is_null(value);
    const char *text = json_string_value(value); /* NULL if it is no string */
    char *field = (char *)out + member->offset;

    switch (member->kind) {
    case TEXT:
        return text_take_member(value, text && text[0] != '\0', field);
    case TEXT_OR_NULL:
        return absent || text_take_member(value, text != NULL, field);
    case PATH:
        return text_take_member(value, is_path(text), field);
    case JOB_ID:
        return text_take_member(value, is_id(text), field);
    case NUMBER:
        return number_read(value, 0, (int64_t *)(void *)field);
    case POSITIVE:
        return number_read(value, 1, (int64_t *)(void *)field);
    case CODE_OR_NULL:
        if (absent)
            return true;
        *((char *)out + member->flag) = true;
        return number_read(value, 0, (int64_t *)(void *)field) && *(int64_t *)(void *)field <= 255;
    case BOOLEAN:
        *(bool *)(void *)field = json_is_true(value);
        return absent || json_is_boolean(value);
    case OBJECT:
        return json_take(value, json_is_object(value), field);
    case OBJECT_OR_NULL:
        return absent || json_take(value, json_is_object(value), field);
    case STRINGS:
        return json_take(value, is_strings(value), field);
    case STRINGS_OR_NULL:
        return absent || json_take(value, is_strings(value), field);
    case NODES:
        return json_take(value, is_nodes(value), field);
    case ENVIRONMENT:
        return absent || json_take(value, is_environment(value), field);
    case ERRORS:
        return absent || json_take(value, is_errors(value), field);
    }
    return false;
}

bool node_message_read(json_t *object, struct node_message *ret_node)
{
    struct node_message node = {0};

    if (!json_is_object(object) || !members_read(object, NODE_MEMBERS, &node) ||
        !text_is_identifier(span_of(node.config_id)) || (node.path && !is_path(node.path)))
        return false;
    *ret_node = node;
    return true;
}

/* False at the first member that is missing or mistyped; which one is for members_fault to say. */
static bool members_read(json_t *object, const struct member *members, void *out)
{
    for (const struct member *member = members; member->name; member++)
        if (!member_read(json_object_get(object, member->name), member, out))
            return false;
    return true;
}

static bool members_fault(json_t *object, const struct member *members, void *scratch, struct fault *fault)
{
    for (const struct member *member = members; member->name; member++)
        if (!member_read(json_object_get(object, member->name), member, scratch))
            return fault_set(fault, FAULT_INVALID, "A message's member \"%s\" is missing or mistyped.", member->name);
    return fault_set(fault, FAULT_INVALID, "A message is malformed.");
}

static bool object_read(struct span body, json_t **ret_object, struct fault *fault)
{
    own(json_freep) json_t *object = NULL;

    if (!json_read(body, "A message", &object, fault))
        return false;
    if (!json_is_object(object))
        return fault_set(fault, FAULT_INVALID, "A message is no JSON object.");
    *ret_object = give(object);
    return true;
}

/* Which op of `names` the object has. */
static bool op_read(json_t *object, const char *const *names, size_t count, size_t *ret_op, struct fault *fault)
{
    const char *name = json_string_value(json_object_get(object, "op"));

    if (!name || !name_find(names, count, name, ret_op))
        return fault_set(fault, FAULT_INVALID, "A message has an unknown \"op\".");
    return true;
}

bool request_is_command(const struct request *request)
{
    return request->kind && strcmp(request->kind, "command") == 0;
}

static bool start_fits(const struct request *request)
{
    if (request_is_command(request))
        return request->argv && json_array_size(request->argv) > 0 &&
               json_string_length(json_array_get(request->argv, 0)) > 0;
    return strcmp(request->kind, "python") == 0 && request->module && request->function;
}

bool request_read(struct span body, struct request *ret_request, struct fault *fault)
{
    own(json_freep) json_t *object = NULL;
    size_t op = 0;

    if (!object_read(body, &object, fault) || !op_read(object, REQUEST_NAMES, ARRAY_LEN(REQUEST_NAMES), &op, fault))
        return false;
    struct request request = {.op = (enum request_op)op};
    if (!members_read(object, REQUEST_MEMBERS[op], &request))
        return members_fault(object, REQUEST_MEMBERS[op], &request, fault);
    if (request.op == REQUEST_START && !start_fits(&request))
        return fault_set(fault, FAULT_INVALID, "A start names neither a function nor a command.");
    if ((request.work && !is_path(request.work)) || (request.storage && !is_path(request.storage)) ||
        (request.result && !is_path(request.result)))
        return fault_set(fault, FAULT_INVALID, "A message's path is not absolute.");
    request.json = give(object);
    *ret_request = request;
    return true;
}

void request_done(struct request *request)
{
    json_decref(request->json);
    *request = (struct request){0};
}

bool answer_read(struct span body, struct answer *ret_answer, struct fault *fault)
{
    own(json_freep) json_t *object = NULL;
    size_t op = 0;

    if (!object_read(body, &object, fault) || !op_read(object, ANSWER_NAMES, ARRAY_LEN(ANSWER_NAMES), &op, fault))
        return false;
    struct answer answer = {.op = (enum answer_op)op};
    if (!members_read(object, ANSWER_MEMBERS[op], &answer))
        return members_fault(object, ANSWER_MEMBERS[op], &answer, fault);
    if (answer.op == ANSWER_ENDED) {
        size_t result;
        if (!name_find(RESULT_NAMES, ARRAY_LEN(RESULT_NAMES), answer.result_name, &result))
            return fault_set(fault, FAULT_INVALID, "An attempt ended with an unknown \"result\".");
        answer.result = (enum attempt_result)result;
    }
    answer.json = give(object);
    *ret_answer = answer;
    return true;
}

void answer_done(struct answer *answer)
{
    json_decref(answer->json);
    *answer = (struct answer){0};
}

bool worker_answer_read(struct span body, struct worker_answer *ret_answer, struct fault *fault)
{
    own(json_freep) json_t *object = NULL;
    struct worker_answer answer = {0};

    if (!object_read(body, &object, fault))
        return false;
    if (!members_read(object, WORKER_MEMBERS, &answer))
        return members_fault(object, WORKER_MEMBERS, &answer, fault);
    if (strcmp(answer.op, "done") != 0)
        return fault_set(fault, FAULT_INVALID, "A worker's answer has an unknown \"op\".");
    answer.json = give(object);
    *ret_answer = answer;
    return true;
}

void worker_answer_done(struct worker_answer *answer)
{
    json_decref(answer->json);
    *answer = (struct worker_answer){0};
}

void message_one_line(struct text *out, const char *text)
{
    enum { LINE_MAX_BYTES = 1000 };
    size_t len = strlen(text);

    if (len > LINE_MAX_BYTES) {
        len = LINE_MAX_BYTES;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--; /* not in the middle of a character */
    }
    for (size_t i = 0; i < len; i++)
        text_append_char(out, (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i]);
    text_append(out, "", 0);
}
