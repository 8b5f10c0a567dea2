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
#include "server/ip.h"
#include "server/tally.h"

struct st_h2o_http2_conn_t;
struct st_h2o_http2_stream_t;
struct st_h2o_hpack_header_table_t;
struct st_h2o_cache_digests_t;

/* Connections hold the context they began with; a reload makes new ones. */
struct tls {
    atomic_uint references;
    SSL_CTX *context;
    struct ticket_keys *tickets; /* the server's */
    unsigned char *staple;       /* OCSP response, or NULL */
    size_t staple_len;
    time_t staple_until;
    STACK_OF(X509) * client_cas; /* whose certificates clients may show; NULL: none are taken */
    STACK_OF(X509_CRL) * crls;   /* of them; NULL: none are looked at */
    int64_t lists_until_s;       /* when the first of them expires; INT64_MAX: never */
};

struct listener {
    struct listener_options options; /* strings are ours */
    char *name;                      /* "127.0.0.1:8443", "[::1]:8443", "/run/bailiff.sock" */
    unsigned port;
    int *fds;     /* one a loop, in the order of the loops; -1 once a loop has taken it over */
    dev_t device; /* of our Unix socket, so that we remove no other's */
    ino_t inode;
    struct tls *tls; /* counted; under server->lock */
};

struct server {
    struct server_options options;
    struct listener *listeners;
    size_t listener_count;
    atomic_bool stopping; /* set before any loop drains: no answer after it keeps its connection */
    atomic_uint trust;    /* counts the TLS contexts' reloads; changed under `lock`, with them */
    struct loop *loops;
    unsigned loop_count;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { SERVER_STARTING, SERVER_RUNNING, SERVER_STOPPED } state; /* under lock */
    unsigned loops_ready, loops_failed;                             /* under lock */
    struct fault start_fault;                                       /* under lock: the first loop's that failed */

    struct trusted_proxies trusted;
    struct ticket_keys *tickets;
    struct tally *addresses; /* connections of each prefix */
    struct tally *bodies;    /* bytes of the budget that bodies of each prefix take */
    struct tally *subjects;  /* streams of each subject */
    uint64_t bodies_max;     /* bytes that buffered bodies may take together */

    atomic_uint_fast64_t connections, connections_open, requests, body_bytes, streams_open, refusals[SERVER_REFUSALS];
};

struct loop_listener {
    struct loop *loop;
    struct listener *listener;
    h2o_socket_t *socket;
    h2o_timeout_entry_t retry; /* when accepting failed for want of descriptors or memory */
};

/* Of one kind of refusal: the first few a second are logged singly, the rest as one counted line. */
struct refusal_log {
    int64_t second;
    unsigned lines;
    uint64_t unlogged;
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
    struct refusal_log refusal_logs[SERVER_REFUSALS];
    h2o_timeout_entry_t refusal_tick;
    h2o_timeout_t idle_timeout, head_timeout, body_timeout, write_timeout;

    h2o_linklist_t connections, exchanges, handshakes /* oldest first */;
    h2o_linklist_t certified, unchecked; /* connections with a client certificate; those to be verified again */
    h2o_timeout_entry_t client_check, client_tick;
    unsigned handshake_count;
    size_t connection_count;
    /* libh2o's own, in whose places ours are */
    void (*http2_stream_reset)(struct st_h2o_http2_conn_t *conn, struct st_h2o_http2_stream_t *stream);
    int (*hpack_parse_headers)(h2o_req_t *req, struct st_h2o_hpack_header_table_t *header_table, const uint8_t *src,
                               size_t len, int *pseudo_header_exists_map, size_t *content_length,
                               struct st_h2o_cache_digests_t **digests, const char **err_desc);
    bool testing; /* the self-test runs: it is neither counted nor logged */
    bool draining, forced, ended;
    int64_t drain_started_ms, drain_until_ms;
    h2o_timeout_entry_t tick; /* while draining */

    /* ---- any thread, under `wake_lock` ---- */
    pthread_mutex_t wake_lock;
    bool awake; /* the receiver exists */
    bool woken; /* `message` is on its way */
    bool stop_asked, check_clients_asked;
    h2o_multithread_receiver_t receiver;
    h2o_multithread_message_t message;

    struct inbox *inbox; /* outlives the thread: workers may complete tickets late */
};

/* Whose a connection or a request is, for log, audit and limits. */
struct client {
    char address[INET6_ADDRSTRLEN];
    struct ip ip;   /* the same, unless it is a Unix socket's */
    bool own;       /* one client's: neither a trusted proxy's, whose clients are many, nor a Unix socket's */
    bool forwarded; /* a proxy speaks for it: what proves the proxy's identity does not prove the client's */
};

/* What a body may take, from its head on, of the server's share for bodies and of its client's. */
struct body_room {
    uint64_t bytes;
    bool of_address; /* counted among its prefix's */
    struct ip prefix;
};

/* Why something is refused, as its client is told. */
struct objection {
    int status;
    enum server_refusal refusal;
    const char *reason;
};

struct connection {
    h2o_linklist_t link, handshake_link;
    struct loop *loop;
    const struct listener *listener; /* NULL: the self-test's */
    h2o_socket_t *socket;
    struct tls *tls; /* counted; NULL: plain */
    bool http2;
    /* What it is waited for; `patience` is linked to the timeout of that. HTTP/2 has its own, in libh2o. */
    enum { WAIT_HANDSHAKE, WAIT_IDLE, WAIT_HEAD, WAIT_BODY, WAIT_ANSWER, WAIT_READER, WAIT_LINGER } waits_for;
    h2o_timeout_entry_t patience;
    size_t discarded; /* while lingering */
    int linger_fd;    /* a second descriptor of a connection that shall linger; else -1 */
    /* Whose it is: the peer's, or what its PROXY header says. */
    bool has_ip, trusted /* a proxy, whose X-Forwarded-For is believed */, counted /* among its prefix's */;
    struct client client;
    /* HTTP/1: the target of the request at hand, as an offset, for the buffer moves while a body is read */
    size_t target_at, target_len;
    struct body_room body; /* HTTP/1 */
    int refusal_status;    /* set: the head was refused */
    const char *refusal_reason;
    struct client refusal_client;
    enum server_refusal refusal;
    /* HTTP/2: */
    unsigned resets;                 /* streams aborted */
    h2o_linklist_t bodies;           /* that are on their way */
    const struct objection *to_body; /* of the request whose head was just read */
    /* Where clients have certificates: */
    SSL *ssl;                        /* the socket's, once the handshake is done */
    struct certificate *certificate; /* the client's; before it is admitted: what it showed, and was refused for */
    const char *certificate_fault;   /* static: why it was refused */
    int64_t certificate_until_s;     /* when it, its chain or a revocation list expires */
    h2o_linklist_t certified_link;
    unsigned trust;  /* the server's, when the certificate was last verified */
    bool distrusted; /* its certificate is not good any more: nothing more is executed */
};

struct server_exchange {
    struct exchange x;
    h2o_linklist_t link;
    h2o_generator_t generator;
    h2o_req_t *req;
    struct connection *connection;
    bool answered;       /* libh2o has the response */
    bool complete;       /* it has the last byte */
    bool begun;          /* its head went out */
    size_t sent;         /* of the body */
    struct text piece;   /* what it is sending: stays until it asks for more */
    struct ticket *turn; /* while its next piece waits for the loop's next turn */
    h2o_timeout_entry_t later;
    h2o_timeout_entry_t patience; /* linked while the client has not taken what libh2o was given */
    bool streams;                 /* counted as a stream */
    bool streams_by_subject;
    uint8_t subject[TALLY_KEY_SIZE];
    struct client client; /* the one behind the proxy, if there is one */
};

/* ---- listen.c ---- */
must_check bool listener_open(struct listener *l, unsigned loops, struct fault *fault);
void listener_close(struct listener *l, unsigned loops);

/* ---- tls.c ---- */
must_check bool tls_new(const struct listener_options *options, struct ticket_keys *tickets, struct log *log,
                        struct tls **ret_tls, struct fault *fault);
struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls); /* NULL ok */
static inline void tls_unrefp(struct tls **tls)
{
    tls_unref(*tls);
}
/* Faults that say where a file was named; false. */
bool tls_at(const struct listener_options *options, struct fault *cause, struct fault *fault);
bool tls_bad_file(const struct listener_options *options, const char *file, const char *what, struct fault *fault);
bool tls_is_http2(h2o_socket_t *socket);

/* ---- staple.c ---- */
must_check bool staple_load(struct tls *tls, const struct listener_options *options, struct log *log,
                            struct fault *fault);

/* ---- clients.c: certificates of clients ---- */
must_check bool clients_load(struct tls *tls, const struct listener_options *options, struct log *log,
                             struct fault *fault);
/* After the handshake: the client's certificate is there, verified by what is in force. False: the connection is gone. */
must_check bool clients_admit(struct connection *c);
/* Before a request is executed: whether its client would still be let in. False: the connection is ended, as `distrusted` says. */
must_check bool clients_still_admit(struct connection *c);
void clients_check_all(
    struct loop *loop);                /* what they are verified by has changed: ends those that would not be let in */
void clients_begin(struct loop *loop); /* ends those whose certificate expires */
void clients_end(struct loop *loop);
/* HTTP/2 is for clients that have proved who they are: libh2o's is not safe to offer to strangers. */
static inline bool listener_offers_http2(const struct listener_options *options)
{
    return options->client_ca_file && !options->client_certificate_optional;
}

/* ---- crl.c ---- */
must_check bool crl_load(struct tls *tls, const struct listener_options *options, struct log *log, struct fault *fault);
/* Until when a verified chain can be relied on. */
int64_t crl_good_until(const struct tls *tls, STACK_OF(X509) * chain);

/* ---- certificate.c ---- */
struct certificate *certificate_new(X509 *x);  /* NULL: OpenSSL has no memory */
void certificate_free(struct certificate *c);  /* NULL ok */
char *certificate_name(const X509_NAME *name); /* RFC 4514, ASCII, bounded */
int64_t asn1_time_s(const ASN1_TIME *time);    /* 0: none */

/* ---- tickets.c ---- */
struct ticket_keys *ticket_keys_new(unsigned period_ms);
void ticket_keys_free(struct ticket_keys *k); /* NULL ok */
unsigned ticket_keys_period_ms(const struct ticket_keys *k);
must_check bool ticket_keys_use(SSL_CTX *context); /* whose app data is a struct tls */

/* ---- loop.c ---- */
void loop_init(struct loop *loop, struct server *server, unsigned index);
/* Makes the thread; when it is ready, or why not, is told under server->lock. */
must_check bool loop_start(struct loop *loop, struct fault *fault);
void loop_ask_stop(struct loop *loop);          /* any thread */
void loop_ask_check_clients(struct loop *loop); /* any thread */
void loop_done(struct loop *loop);              /* after its thread has ended */
void loop_log(struct loop *loop, enum log_level level, const char *event, const char *message,
              const struct log_field *fields, size_t count);

/* ---- drain.c ---- */
void drain_begin(struct loop *loop);

/* ---- accept.c ---- */
void accept_on_readable(h2o_socket_t *listener, const char *error);

/* ---- connection.c ---- */
struct connection *connection_adopt(struct loop *loop, const struct listener *listener, h2o_socket_t *socket,
                                    struct tls *tls);              /* takes tls over */
void connection_set_ip(struct connection *c, const struct ip *ip); /* NULL: a Unix socket's */
/* Whose request it is, by the values of its X-Forwarded-For, which are believed only of a trusted proxy. False: they cannot be read; *ret is
 * the connection's. */
must_check bool connection_find_client(const struct connection *c, const struct span *values, size_t count,
                                       struct client *ret);
bool client_is_barred(struct loop *loop, const struct client *client);
struct connection *connection_of(h2o_conn_t *conn);
void connection_serve(struct connection *c, bool http2);
void connection_reset(struct connection *c); /* the client sees an error, never a clean end */
/* When it is closed, what the client still sends is read and thrown away for a moment: closing with unread input would reset the
 * connection, and the client might never see why. */
void connection_linger(struct connection *c);
bool connection_is_idle(struct connection *c);
/* From now on the connection is waited for in this way; what it was waited for before is over. */
void connection_wait(struct connection *c, int waits_for);

/* ---- handshake.c: what comes before HTTP ---- */
void handshake_begin(struct connection *c);
void handshake_over(struct connection *c); /* also when it was not one */

/* ---- budget.c: what may be held for strangers ---- */
/* Of all bodies of one address or /64 together. */
uint64_t budget_share_of_address(const struct server *server);
/* Room for a body of so many bytes at most; NULL, or why there is none. */
must_check const struct objection *budget_take_body(struct server *server, const struct client *client, uint64_t bytes,
                                                    struct body_room *room);
void budget_give_back_body(struct server *server, struct body_room *room); /* which becomes empty */
void budget_shrink_body(struct server *server, struct body_room *room, uint64_t needed);
/* The exchange's source counts as a stream; NULL, or what to tell the client. */
const char *budget_take_stream(struct server_exchange *e, bool *ret_of_subject);
void budget_give_back_stream(struct server_exchange *e);

/* ---- record.c ---- */
/* Counts and, within bounds, logs. client and request_id may be NULL, status 0. */
void record_refusal(struct loop *loop, enum server_refusal refusal, const struct client *client, const char *reason,
                    const char *request_id, int status);
/* A client whose certificate is not good, with what it showed. */
void record_client_refusal(struct connection *c, const char *reason, bool admitted /* before */);
void record_begin(struct loop *loop); /* the counted lines, once a second */
void record_end(struct loop *loop);

/* ---- request.c ---- */
int request_handle(h2o_handler_t *handler, h2o_req_t *req);
/* False: an X-Forwarded-For that cannot be read, which is BAD_FORWARDED; *ret is the connection's. */
extern const struct objection BAD_FORWARDED;
must_check bool request_find_client(const h2o_req_t *req, const struct connection *c, struct client *ret);

/* ---- http2.c: what libh2o would wait for without end ---- */
/* Its head announces a body. NULL, or why it may not come. */
must_check const struct objection *http2_body_begins(h2o_req_t *req, struct connection *c);
void http2_body_is_there(const h2o_req_t *req, struct connection *c); /* also if it has none */
void http2_answer_is_waited_for(h2o_req_t *req, struct connection *c);

/* ---- answer.c ---- */
void answer_exchange(struct exchange *x);
void answer_on_impatience(h2o_timeout_entry_t *entry);
void answer_abort(struct server_exchange *e);
void answer_later(h2o_timeout_entry_t *entry);
const char *status_reason(int status);

/* ---- refusal.c: requests that never become exchanges ---- */
void refusal_answer(h2o_req_t *req, const struct client *client, enum server_refusal refusal, int status,
                    const char *reason);
void refusal_register(h2o_pathconf_t *fallback); /* rewrites what libh2o answers by itself */

/* ---- intercept.c ---- */
bool intercept_http2_works(struct loop *loop); /* our readers are found before libh2o's; also remembers those */
bool intercept_works(struct loop *loop);       /* a bad head and a bad chunk are refused by our readers, not libh2o's */

#endif
