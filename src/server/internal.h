/* The server's own structs. What belongs to whom:
 *
 * `struct server` is shared; its listeners' TLS contexts are swapped under `lock`, everything else in it is constant while loops
 * run, or atomic. A `struct loop` and all below it (connections, exchanges) belong to its thread alone, except for
 * the few members of `struct loop` that say so. */
#ifndef BAILIFF_SERVER_INTERNAL_H
#define BAILIFF_SERVER_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>

#include "bailiff/server.h"

struct listener {
    struct listener_options options; /* strings are ours */
    char *name;                      /* "127.0.0.1:8443", "[::1]:8443", "/run/bailiff.sock" */
    unsigned port;
    int *fds;     /* one a loop, in the order of the loops; -1 once a loop has taken it over */
    dev_t device; /* of our Unix socket, so that we remove no other's */
    ino_t inode;
    SSL_CTX *tls; /* counted; under server->lock */
};

struct server {
    struct server_options options;
    struct listener *listeners;
    size_t listener_count;
    struct loop *loops;
    unsigned loop_count;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { SERVER_STARTING, SERVER_RUNNING, SERVER_STOPPED } state; /* under lock */
    unsigned loops_ready, loops_failed;                             /* under lock */
    struct fault start_fault;                                       /* under lock: the first loop's that failed */

    atomic_uint_fast64_t connections, connections_open, requests, handshakes_failed, refused_connections,
        parser_refusals;
};

struct loop_listener {
    struct loop *loop;
    struct listener *listener;
    h2o_socket_t *socket;
    h2o_timeout_entry_t retry; /* when accepting failed for want of descriptors or memory */
};

struct loop {
    struct server *server;
    unsigned index;
    pthread_t thread;
    bool started; /* the thread is there to be joined */

    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    struct loop_listener *listeners;
    struct bench *bench;
    struct text lines; /* of the access log: written once a turn */

    h2o_linklist_t connections, exchanges;
    size_t connection_count;
    bool testing; /* the self-test runs: it is neither counted nor logged */
    bool draining, forced, ended;
    int64_t drain_started_ms, drain_until_ms;
    h2o_timeout_entry_t tick; /* while draining */

    /* ---- any thread, under `wake_lock` ---- */
    pthread_mutex_t wake_lock;
    bool awake; /* the receiver exists */
    bool woken; /* `message` is on its way */
    bool stop_asked;
    h2o_multithread_receiver_t receiver;
    h2o_multithread_message_t message;

    struct inbox *inbox; /* outlives the thread: workers may complete tickets late */
};

struct connection {
    h2o_linklist_t link;
    struct loop *loop;
    h2o_socket_t *socket;
    SSL_CTX *tls; /* counted; NULL: plain */
    bool offers_http2, http2, handshaking;
    h2o_timeout_entry_t patience; /* for the handshake; for lingering */
    size_t discarded;             /* while lingering */
    int linger_fd;                /* a second descriptor of a connection that shall linger; else -1 */
    char address[INET6_ADDRSTRLEN];
    /* HTTP/1: the target of the request at hand, as an offset, for the buffer moves while a body is read */
    size_t target_at, target_len;
    int refusal_status; /* set: the head was refused */
    const char *refusal_reason;
};

struct server_exchange {
    struct exchange x;
    h2o_linklist_t link;
    h2o_generator_t generator;
    h2o_req_t *req;
    struct connection *connection;
    bool answered;     /* libh2o has the response */
    bool complete;     /* it has the last byte */
    size_t sent;       /* of the body */
    struct text piece; /* what it is sending: stays until it asks for more */
    h2o_timeout_entry_t later;
};

/* ---- listen.c ---- */
must_check bool listener_open(struct listener *l, unsigned loops, struct fault *fault);
void listener_close(struct listener *l, unsigned loops);

/* ---- tls.c ---- */
must_check bool tls_context_new(const struct listener_options *options, struct log *log, SSL_CTX **ret_context,
                                struct fault *fault);
bool tls_is_http2(h2o_socket_t *socket);

/* ---- loop.c ---- */
void loop_init(struct loop *loop, struct server *server, unsigned index);
/* Makes the thread; when it is ready, or why not, is told under server->lock. */
must_check bool loop_start(struct loop *loop, struct fault *fault);
void loop_ask_stop(struct loop *loop); /* any thread */
void loop_done(struct loop *loop);     /* after its thread has ended */
void loop_log(struct loop *loop, enum log_level level, const char *event, const char *message,
              const struct log_field *fields, size_t count);

/* ---- drain.c ---- */
void drain_begin(struct loop *loop);

/* ---- connection.c ---- */
void connection_on_accept(h2o_socket_t *listener, const char *error);
struct connection *connection_adopt(struct loop *loop, h2o_socket_t *socket, SSL_CTX *tls); /* takes tls over */
struct connection *connection_of(h2o_conn_t *conn);
void connection_reset(struct connection *c); /* the client sees an error, never a clean end */
/* When it is closed, what the client still sends is read and thrown away for a moment: closing with unread input would reset the
 * connection, and the client might never see why. */
void connection_linger(struct connection *c);
bool connection_is_idle(struct connection *c);

/* ---- request.c ---- */
int request_handle(h2o_handler_t *handler, h2o_req_t *req);

/* ---- answer.c ---- */
void answer_exchange(struct exchange *x);
void answer_abort(struct server_exchange *e);
void answer_later(h2o_timeout_entry_t *entry);
const char *status_reason(int status);

/* ---- refusal.c: requests that never become exchanges ---- */
void refusal_answer(h2o_req_t *req, int status, const char *reason);
void refusal_register(h2o_pathconf_t *fallback); /* rewrites what libh2o answers by itself */

/* ---- intercept.c ---- */
bool intercept_works(struct loop *loop); /* a bad head and a bad chunk are refused by our readers, not libh2o's */

#endif
