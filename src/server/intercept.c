/* Our readers in the place of libh2o's.
 *
 * libh2o 2.2.5 calls picohttpparser's phr_parse_request and phr_decode_chunked through its PLT, so definitions in the program
 * are found first. Theirs accept what a careful server must refuse; ours are strict and judge before any body is buffered.
 * Whether this really holds is tried on every loop before it serves (intercept_works). */
#include <sys/socket.h>
#include <unistd.h>

#include "server/chunks.h"
#include "server/head.h"
#include "server/internal.h"

struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len, const char **path,
                      size_t *path_len, int *minor_version, struct phr_header *headers, size_t *num_headers,
                      size_t last_len);
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *size);

/* Handed to libh2o as the path of every HTTP/1 request: it normalises paths for routes of its own, which we do not use, and
 * prints to stderr what it cannot normalise. The true target is in the connection. */
static const char PATH[] = "/";

/* False: an X-Forwarded-For that cannot be read; *ret is the connection's. */
static bool find_client(const struct connection *c, const struct head *head, struct client *ret)
{
    struct span values[FORWARDED_MAX + 1];
    size_t count = 0;

    for (size_t i = 0; c->trusted && i < head->field_count && count < ARRAY_LEN(values); i++)
        if (span_ieq(head->fields[i].name, SPAN("x-forwarded-for")))
            values[count++] = head->fields[i].value;
    return connection_find_client(c, values, count, ret);
}

/* A body is announced: is there room for it? Chunked ones do not say how long they are. Whoever hides whose it is would have no share, and
 * is not waited for. */
static const struct objection *expect_body(struct connection *c, const struct head *head)
{
    struct server *server = c->loop->server;
    uint64_t bytes = head->chunked ? server->options.body_max : head->content_length;
    const struct objection *objection;
    struct client client;

    budget_give_back_body(server, &c->body);
    if (bytes == 0)
        return NULL;
    if (!find_client(c, head, &client))
        return &BAD_FORWARDED;
    objection = budget_take_body(server, &client, bytes, &c->body);
    if (!objection)
        connection_wait(c, WAIT_BODY);
    return objection;
}

/* A malformed head says nothing that could be believed, not even of a proxy; what is only too much may well name its client. */
static void find_refused_client(struct connection *c, const struct head *head)
{
    c->refusal_client = c->client;
    if (head->status != 400 && head->status != 431)
        (void)!find_client(c, head, &c->refusal_client);
}

/* libh2o is given a harmless request without a body, so that the handler is called and answers the refusal at once. */
static int hand_over_refusal(struct connection *c, const struct head *head, size_t len, const char **method,
                             size_t *method_len, int *minor_version, size_t *num_headers)
{
    c->refusal_status = head->status;
    c->refusal_reason = head->reason;
    find_refused_client(c, head);
    *method = "GET";
    *method_len = 3;
    *minor_version = 1;
    *num_headers = 0;
    return (int)len;
}

/* The reader's own limit is 16 KiB; the operator's may be lower. */
static enum head_verdict read_within(const struct server_options *options, const char *buf, size_t len, size_t seen,
                                     struct head *head)
{
    enum head_verdict verdict = head_read(buf, len, seen, options->body_max, head);
    bool large = verdict == HEAD_MORE ? len >= options->head_max : verdict == HEAD_OK && head->len > options->head_max;

    if (options->head_max == 0 || !large)
        return verdict;
    head->status = 431;
    head->reason = "The head is larger than this server allows.";
    return HEAD_REFUSED;
}

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len, const char **path,
                      size_t *path_len, int *minor_version, struct phr_header *headers, size_t *num_headers,
                      size_t last_len)
{
    /* Only lib/http1.c calls this, and always with the members of its request. */
    h2o_req_t *req = container_of((char **)method, h2o_req_t, input.method.base);
    struct connection *c = connection_of(req->conn);
    struct loop *loop = c->loop;
    struct head head;

    enum head_verdict verdict = read_within(&loop->server->options, buf, len, last_len, &head);
    if (verdict == HEAD_MORE) {
        if (c->waits_for == WAIT_IDLE && len > 0)
            connection_wait(c, WAIT_HEAD);
        return -2;
    }
    *path = PATH;
    *path_len = sizeof(PATH) - 1;
    c->refusal_status = 0;
    c->refusal = REFUSED_PARSER;
    const struct objection *objection = verdict == HEAD_OK ? expect_body(c, &head) : NULL;
    if (objection) {
        c->refusal = objection->refusal;
        head.status = objection->status;
        head.reason = objection->reason;
        verdict = HEAD_REFUSED;
    }
    if (verdict == HEAD_REFUSED)
        return hand_over_refusal(c, &head, len, method, method_len, minor_version, num_headers);

    c->target_at = (size_t)(head.target.data - buf);
    c->target_len = head.target.len;
    *method = head.method.data;
    *method_len = head.method.len;
    *minor_version = head.minor_version;
    *num_headers = head.field_count;
    for (size_t i = 0; i < head.field_count; i++)
        headers[i] = (struct phr_header){head.fields[i].name.data, head.fields[i].name.len, head.fields[i].value.data,
                                         head.fields[i].value.len};
    return (int)head.len;
}

ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *size)
{
    return chunks_read(decoder, buf, size);
}

/* Sends a request to ourselves and compares the start of the answer. */
static bool probe(struct loop *loop, const char *request, const char *expected)
{
    int fds[2];
    char answer[512] = "";

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return false;
    h2o_socket_t *socket = h2o_evloop_socket_create(loop->context.loop, fds[0], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    connection_serve(connection_adopt(loop, NULL, socket, NULL), false);

    bool sent = write(fds[1], request, strlen(request)) == (ssize_t)strlen(request);
    ssize_t got = -1;
    for (int turn = 0; sent && got <= 0 && turn < 50; turn++) {
        h2o_evloop_run(loop->context.loop, 20);
        got = read(fds[1], answer, sizeof(answer) - 1);
    }
    close(fds[1]);
    for (int turn = 0; loop->connection_count > 0 && turn < 50; turn++)
        h2o_evloop_run(loop->context.loop, 20);
    return got > 0 && strncmp(answer, expected, strlen(expected)) == 0 && strstr(answer, "application/problem+json");
}

bool intercept_works(struct loop *loop)
{
    loop->testing = true;
    bool works = intercept_http2_works(loop) &&
                 probe(loop, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 ") &&
                 probe(loop, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
                       "HTTP/1.1 400 ");
    loop->testing = false;
    return works && loop->connection_count == 0;
}
