/* A real server on loopback with a chain of the test's own, and raw clients. Included once by each server_*_test.c. */
#ifndef BAILIFF_TESTS_SERVER_FIXTURE_H
#define BAILIFF_TESTS_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/server.h"

enum { BODY_MAX = 65536, PATIENCE_MS = 20000 };

/* ---- what the chain does here ---- */

static struct {
    atomic_int started, finished, live_sources, turns, benches;
    pthread_mutex_t lock;
    struct ticket *tickets[64]; /* of exchanges that wait */
    int ticket_count;
    atomic_bool hold_sources; /* a source says LATER while this is set */
    atomic_bool hold_loop, loop_held;
} stub = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct bench {
    int unused_member;
};

static struct bench *bench_new(const struct services *services, struct fault *fault)
{
    stub.benches++;
    return xcalloc(1, sizeof(struct bench));
}

static void bench_free(struct bench *bench)
{
    stub.benches--;
    free(bench);
}

static void bench_turn_end(struct bench *bench)
{
    stub.turns++;
}

struct test_source {
    struct body_source super;
    int pieces;
    enum source_state last;
    bool later;
};

static enum source_state source_pull(struct body_source *self, struct text *out)
{
    struct test_source *s = (struct test_source *)self;

    if (s->later && stub.hold_sources)
        return SOURCE_LATER;
    if (s->pieces == 0)
        return s->last;
    for (int i = 0; i < 1000; i++)
        text_append_str(out, "0123456789abcdef");
    s->pieces--;
    return s->pieces == 0 && s->last == SOURCE_END ? SOURCE_END : SOURCE_MORE;
}

static void source_free(struct body_source *self)
{
    stub.live_sources--;
    free(self);
}

static void add_header(struct exchange *x, const char *name, const char *value)
{
    struct header_list *l = &x->response.headers;

    if (l->count == l->cap) { /* in the arena, as http's own are; raw, for the server must not trust what is in it */
        l->cap += 16;
        struct header *items = arena_alloc(&x->arena, l->cap * sizeof(*items));
        if (l->count > 0)
            memcpy(items, l->items, l->count * sizeof(*items));
        l->items = items;
    }
    l->items[l->count++] = (struct header){span_of(name), span_of(value)};
}

static void answer_source(struct exchange *x, int pieces, enum source_state last, bool later, int64_t length)
{
    struct test_source *s = xcalloc(1, sizeof(*s));

    *s = (struct test_source){{.pull = source_pull, .free = source_free}, pieces, last, later};
    stub.live_sources++;
    x->response.status = 200;
    x->response.source = &s->super;
    x->response.source_length = length;
    x->answer(x);
}

static void answer_text(struct exchange *x, int status, const char *text, size_t len)
{
    x->response.status = status;
    x->response.source_length = -1;
    add_header(x, "Content-Type", "text/plain");
    text_append(&x->response.body, text, len);
    x->answer(x);
}

static void on_ticket(void *waiter)
{
    struct exchange *x = waiter;

    answer_text(x, 200, "waited", 6);
}

static void wait_for_test(struct exchange *x)
{
    x->ticket = ticket_new(x->inbox, on_ticket, x);
    pthread_mutex_lock(&stub.lock);
    stub.tickets[stub.ticket_count++] = x->ticket;
    pthread_mutex_unlock(&stub.lock);
}

static void describe(struct exchange *x)
{
    own(text_done) struct text t = {0};

    text_printf(&t, "%.*s|%.*s|%.*s|%.*s|%s|%s|", (int)x->method_text.len, x->method_text.data, (int)x->path.len,
                x->path.data, (int)x->query.len, x->query.data, (int)x->body.len, x->body.data, x->address,
                x->secure ? "secure" : "plain");
    for (size_t i = 0; i < x->request_headers.count; i++)
        text_printf(&t, "%.*s=%.*s;", (int)x->request_headers.items[i].name.len, x->request_headers.items[i].name.data,
                    (int)x->request_headers.items[i].value.len, x->request_headers.items[i].value.data);
    answer_text(x, 200, t.data, t.len);
}

static void describe_certificate(struct exchange *x)
{
    const struct certificate *c = x->certificate;
    own(text_done) struct text t = {0};

    if (c)
        text_printf(&t, "|%s|%s|%s|%s|%s|", c->subject, c->issuer, c->serial, c->fingerprint, c->thumbprint);
    else
        text_append_str(&t, "|no certificate|");
    answer_text(x, 200, t.data, t.len);
}

static bool path_is(const struct exchange *x, const char *path)
{
    return span_is(x->path, path);
}

void chain_start(struct exchange *x)
{
    enum { PIECE = 16000 };

    stub.started++;
    if (path_is(x, "/wait")) {
        wait_for_test(x);
    } else if (path_is(x, "/hold")) { /* the loop does nothing else meanwhile */
        stub.loop_held = true;
        while (stub.hold_loop)
            usleep(1000);
        stub.loop_held = false;
        answer_text(x, 200, "held", 4);
    } else if (path_is(x, "/certificate")) {
        describe_certificate(x);
    } else if (path_is(x, "/big")) {
        own(freep) char *big = xmalloc(200000);
        memset(big, 'b', 200000);
        answer_text(x, 200, big, 200000);
    } else if (path_is(x, "/stream")) {
        answer_source(x, 10, SOURCE_END, false, -1);
    } else if (path_is(x, "/stream-known")) {
        answer_source(x, 10, SOURCE_END, false, 10 * PIECE);
    } else if (path_is(x, "/stream-later")) {
        answer_source(x, 2, SOURCE_END, true, -1);
    } else if (path_is(x, "/stream-failed")) {
        answer_source(x, 3, SOURCE_FAILED, false, -1);
    } else if (path_is(x, "/stream-failed-known")) {
        answer_source(x, 3, SOURCE_FAILED, false, 10 * PIECE);
    } else if (path_is(x, "/stream-short")) {
        answer_source(x, 3, SOURCE_END, false, 10 * PIECE);
    } else if (path_is(x, "/stream-long")) {
        answer_source(x, 3, SOURCE_END, false, PIECE + 1);
    } else if (path_is(x, "/stream-endless")) {
        answer_source(x, 1 << 30, SOURCE_END, false, -1);
    } else if (path_is(x, "/204")) {
        answer_text(x, 204, "never sent", 10);
    } else if (path_is(x, "/304")) {
        answer_text(x, 304, "never sent", 10);
    } else if (path_is(x, "/close")) {
        x->response.close = true;
        answer_text(x, 200, "bye", 3);
    } else if (path_is(x, "/inject")) {
        add_header(x, "X-Bad", "a\r\nX-Injected: yes");
        add_header(x, "Content-Length", "1");
        answer_text(x, 200, "whole", 5);
    } else {
        describe(x);
    }
}

void chain_finish(struct exchange *x)
{
    stub.finished++;
    ticket_abandon(x->ticket);
    arena_done(&x->arena);
    text_done(&x->response.body);
    if (x->response.source)
        x->response.source->free(x->response.source);
    memset(x, 0xa5, sizeof(*x)); /* whoever uses it afterwards fails */
}

/* Completes the tickets of all exchanges that wait. */
static inline int release_tickets(void)
{
    struct ticket *tickets[64];

    pthread_mutex_lock(&stub.lock);
    int count = stub.ticket_count;
    memcpy(tickets, stub.tickets, sizeof(tickets));
    stub.ticket_count = 0;
    pthread_mutex_unlock(&stub.lock);
    for (int i = 0; i < count; i++)
        ticket_complete(tickets[i]);
    return count;
}

static inline int waiting(void)
{
    pthread_mutex_lock(&stub.lock);
    int count = stub.ticket_count;
    pthread_mutex_unlock(&stub.lock);
    return count;
}

/* Waits for a condition, not for a time; fails loudly when it never comes. */
#define eventually(condition)                            \
    do {                                                 \
        int patience = PATIENCE_MS;                      \
        while (!(condition) && patience-- > 0)           \
            usleep(1000);                                \
        if (!(condition))                                \
            fail_msg("never came true: %s", #condition); \
    } while (0)

/* ---- the server ---- */

static inline struct server_options options_plain(struct listener_options *listener)
{
    *listener = (struct listener_options){.address = "127.0.0.1", .where = "test:1"};
    return (struct server_options){
        .listeners = listener,
        .listener_count = 1,
        .loops = 2,
        .connections_max = 100,
        .handshakes_max = 100,
        .handshake_timeout_ms = PATIENCE_MS,
        .idle_timeout_ms = PATIENCE_MS,
        .head_timeout_ms = PATIENCE_MS,
        .body_timeout_ms = PATIENCE_MS,
        .memory_budget = server_memory_needed(100, BODY_MAX),
        .bodies_per_address_max = UINT64_C(1) << 30, /* all clients here have one address */
        .http2_resets_max = 100,
        .write_timeout_ms = PATIENCE_MS,
        .drain_timeout_ms = PATIENCE_MS,
        .body_max = BODY_MAX,
        .bench_new = bench_new,
        .bench_free = bench_free,
        .bench_turn_end = bench_turn_end,
    };
}

static inline struct server *server_up(const struct server_options *options)
{
    struct server *server = NULL;
    struct fault fault = {0};

    if (!server_start(options, &server, &fault))
        fail_msg("%s (%s)", fault.message, fault.detail);
    return server;
}

/* Nothing is left behind: each exchange was finished, once. */
static inline void server_down(struct server *server)
{
    server_stop(server);
    release_tickets(); /* workers may be later than the loops */
    server_free(server);
    assert_int_equal(stub.started, stub.finished);
    assert_int_equal(stub.live_sources, 0);
    assert_int_equal(stub.benches, 0);
}

static inline struct server_counters counters(const struct server *server)
{
    struct server_counters c;

    server_get_counters(server, &c);
    return c;
}

/* ---- clients ---- */

static inline int connect_from(const char *source, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    struct sockaddr_in own_end = {.sin_family = AF_INET};
    inet_pton(AF_INET, source, &own_end.sin_addr);
    if (bind(fd, (struct sockaddr *)&own_end, sizeof(own_end)) < 0)
        fail_msg("bind: %s", strerror(errno));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

static inline int connect_to(unsigned port)
{
    return connect_from("127.0.0.1", port);
}

static inline void send_text(int fd, const char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the other side may have closed already: what it said decides */
        at += (size_t)n;
    }
}

/* Everything until the connection ends. True: it ended cleanly; false: by a reset (or not at all). */
static inline bool receive_all(int fd, struct text *out)
{
    char buf[65536];

    text_append(out, "", 0);
    for (;;) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            fail_msg("no end of the connection; got: %.200s", out->data);
        if (n <= 0)
            return n == 0;
        text_append(out, buf, (size_t)n);
    }
}

/* Until `mark` has been received. */
static inline void receive_until(int fd, struct text *out, const char *mark)
{
    char c;

    while (!out->data || !strstr(out->data, mark)) {
        if (recv(fd, &c, 1, 0) != 1)
            fail_msg("ended before \"%s\"; got: %.200s", mark, out->data ? out->data : "");
        text_append(out, &c, 1);
    }
}

/* One connection, one answer. */
static inline bool talk(unsigned port, const char *request, struct text *answer)
{
    int fd = connect_to(port);

    send_text(fd, request);
    bool clean = receive_all(fd, answer);
    close(fd);
    return clean;
}

static inline const char *body_of(const struct text *answer)
{
    const char *end = strstr(answer->data, "\r\n\r\n");

    return end ? end + 4 : "";
}

static inline int count_of(const struct text *t, const char *what)
{
    int count = 0;

    for (const char *at = t->data; at && (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

#define assert_contains(t, what)                                   \
    do {                                                           \
        if (!strstr((t)->data, what))                              \
            fail_msg("\"%s\" is not in: %.600s", what, (t)->data); \
    } while (0)
#define assert_lacks(t, what)                                  \
    do {                                                       \
        if (strstr((t)->data, what))                           \
            fail_msg("\"%s\" is in: %.600s", what, (t)->data); \
    } while (0)

#endif
