/* The HTTPS server: listeners, TLS, event loops, exchanges' way in and out. The only module that knows libh2o.
 *
 * One thread a loop; each makes its own loop, context and listeners (libh2o's buffers are per thread). */
#ifndef BAILIFF_SERVER_H
#define BAILIFF_SERVER_H

#include "bailiff/fault.h"
#include "bailiff/http.h"
#include "bailiff/log.h"

struct listener_options {
    const char *address;     /* IP address, or absolute path of a Unix socket */
    unsigned port;           /* 0 for a Unix socket; in tests 0 with an address: any free port */
    bool tls;                /* false only on loopback or a Unix socket */
    const char *certificate_file, *key_file; /* PEM; chain behind the certificate */
    const char *client_ca_file; /* set: a client certificate is required, and HTTP/2 is offered */
    const char *where;       /* "bailiff.yaml:12" */
};

struct server_options {
    const struct listener_options *listeners;
    size_t listener_count;
    unsigned loops;             /* 0: one a core */
    unsigned connections_max;   /* in all */
    unsigned handshake_timeout_ms, request_timeout_ms /* idle + head + body */, write_timeout_ms, drain_timeout_ms;
    size_t body_max;            /* the largest of all routes' limits */
    const struct chain *chain;
    const struct services *services;
    struct bench *(*bench_new)(const struct services *services, struct fault *fault); /* on the loop's thread */
    void (*bench_free)(struct bench *bench);
    void (*bench_turn_end)(struct bench *bench); /* once a loop turn, before completions are delivered */
    struct log *log;            /* events and the access log */
    bool access_log;
};

struct server;
/* Opens all listeners (CONFLICT names a port in use) and starts the loops; returns when all of them accept. */
must_check bool server_start(const struct server_options *options, struct server **ret_server, struct fault *fault);
unsigned server_port(const struct server *server, size_t listener); /* the one bound */
/* Reads certificates and keys again; connections made from now on use them. On failure the old ones stay. Any thread. */
must_check bool server_reload_tls(struct server *server, struct fault *fault);
/* Stops listening, lets requests in flight end (idle connections go at once), ends the loops by drain_timeout_ms. Blocking. */
void server_stop(struct server *server);
void server_free(struct server *server); /* NULL ok */

struct server_counters {
    uint64_t connections, connections_open, requests, handshakes_failed, refused_connections, parser_refusals;
};
void server_get_counters(const struct server *server, struct server_counters *ret); /* any thread */

#endif
