/* The HTTPS server: listeners, TLS, event loops, exchanges' way in and out. The only module that knows libh2o.
 *
 * One thread a loop; each makes its own loop, context and listeners (libh2o's buffers are per thread). */
#ifndef BAILIFF_SERVER_H
#define BAILIFF_SERVER_H

#include "bailiff/fault.h"
#include "bailiff/http.h"
#include "bailiff/log.h"

struct listener_options {
    const char *address;                     /* IP address, or absolute path of a Unix socket */
    unsigned port;                           /* 0 for a Unix socket; in tests 0 with an address: any free port */
    bool tls;                                /* false only on loopback or a Unix socket */
    const char *certificate_file, *key_file; /* PEM; chain behind the certificate */
    const char *client_ca_file;              /* PEM; set: certificates of clients are asked for */
    bool client_certificate_optional;        /* else they are required, and HTTP/2 is offered */
    const char *const *client_crl_files;     /* PEM: the CAs' revocation lists; with one there must be one of each CA */
    size_t client_crl_count;
    const char *ocsp_file; /* DER; stapled while it is valid; NULL: none */
    bool proxy_protocol;   /* each connection begins with a PROXY header (version 2) of a trusted proxy */
    const char *where;     /* "bailiff.yaml:12" */
};

/* What was refused before there was an exchange. */
struct server_refused {
    const char *address, *reason;
    int status;                      /* 0: none was sent */
    const char *request_id;          /* NULL: it was a connection */
    const struct certificate *shown; /* by the client, and not found good; NULL: none */
};

struct server_options {
    const struct listener_options *listeners;
    size_t listener_count;
    unsigned loops;                       /* 0: one a core */
    unsigned connections_max;             /* in all */
    unsigned connections_per_address_max; /* IPv6: per /64; 0: no limit. Trusted proxies themselves are not counted */
    unsigned handshakes_max;              /* TLS handshakes at once; beyond it the oldest goes */
    unsigned handshake_timeout_ms;        /* PROXY header and TLS handshake together */
    unsigned idle_timeout_ms;             /* until the first byte of a request, also of the first one */
    unsigned head_timeout_ms, body_timeout_ms; /* from their first byte to their last */
    unsigned write_timeout_ms;                 /* for a client to take a piece of an answer (16 to 64 KiB) */
    unsigned drain_timeout_ms;
    uint64_t memory_budget; /* for connections and bodies together: see server_memory_needed */
    /* Of it, what bodies of one address (IPv6: /64) may take together; 0: an eighth of what it has for bodies. Trusted proxies have no
     * share of their own: each of their clients has one. */
    uint64_t bodies_per_address_max;
    unsigned streams_max, streams_per_subject_max; /* answers that are produced piece by piece, at once; 0: no limit */
    unsigned http2_resets_max;                     /* streams that one connection may abort */
    const char *const
        *trusted_proxies; /* addresses, ranges, "unix": their PROXY header and X-Forwarded-For are believed */
    size_t trusted_proxy_count;
    unsigned ticket_period_ms; /* how long a key makes session tickets; 0: an hour */
    size_t head_max;           /* at most 16 KiB, which is also what 0 means */
    size_t body_max;           /* the largest of all routes' limits, or less */
    const struct chain *chain;
    const struct services *services;
    struct bench *(*bench_new)(const struct services *services, struct fault *fault); /* on the loop's thread */
    void (*bench_free)(struct bench *bench);
    /* Refusals before there is an exchange; none of these may wait. NULL: nobody asks. Loop threads.
     * refused: for the audit log. count_refusal: it was the doing of this address, which is a client's own. is_barred: it has done so
     * too often. */
    void (*refused)(const struct services *services, const struct server_refused *what);
    void (*count_refusal)(const struct services *services, const char *address);
    bool (*is_barred)(const struct services *services, const char *address, unsigned *ret_retry_after_s);
    void (*bench_turn_end)(struct bench *bench); /* once a loop turn, before completions are delivered */
    struct log *log;                             /* events and the access log */
    bool access_log;
};

struct server;
/* Opens all listeners (CONFLICT names a port in use) and starts the loops; returns when all of them accept. */
must_check bool server_start(const struct server_options *options, struct server **ret_server, struct fault *fault);
unsigned server_port(const struct server *server, size_t listener); /* the one bound */
/* Reads certificates, keys, client CAs and revocation lists again; connections made from now on use them, and those whose client's
 * certificate is not good by them end. On failure the old ones stay. Any thread. */
must_check bool server_reload_tls(struct server *server, struct fault *fault);
/* The same in two steps, so that something may be done in between: what was read, and not used, is to be freed. */
struct tls_set;
must_check bool server_load_tls(struct server *server, struct tls_set **ret_set, struct fault *fault);
void server_use_tls(struct server *server, struct tls_set *set); /* takes it over; never fails */
void tls_set_free(struct tls_set *set);                          /* NULL ok */
/* When the first revocation list in force expires, in wall-clock seconds; INT64_MAX: there is none. Any thread. */
int64_t server_revocation_lists_until(struct server *server);
/* Whether a listener's certificates, keys and lists can be used, without opening it. */
must_check bool server_tls_check(const struct listener_options *options, struct fault *fault);
/* Stops listening, lets requests in flight end (idle connections go at once), ends the loops by drain_timeout_ms. Blocking. */
void server_stop(struct server *server);
void server_free(struct server *server); /* NULL ok */

/* The least memory_budget that makes sense: all connections at their worst, and a few bodies. What the budget has beyond the
 * connections' share is for buffered bodies; when that is used up, requests with bodies get 503. */
uint64_t server_memory_needed(unsigned connections_max, size_t body_max);
/* The least bodies_per_address_max that lets a body of the largest size through. */
uint64_t server_bodies_per_address_least(size_t body_max);
/* Whether an entry of trusted_proxies can be used. */
must_check bool server_trusted_proxy_check(const char *entry, struct fault *fault);

enum server_refusal {
    REFUSED_CONNECTIONS, /* too many in all */
    REFUSED_ADDRESS,     /* too many of one address or /64 */
    REFUSED_BARRED,      /* of an address of which too much was refused */
    REFUSED_PROXY,       /* not a trusted proxy, or no PROXY header */
    REFUSED_HANDSHAKE,   /* failed, or too slow */
    REFUSED_PUSHED_OUT,  /* by newer handshakes */
    REFUSED_CERTIFICATE, /* a client's certificate is not good, or not any more */
    REFUSED_PARSER,      /* a head or body that is malformed or too large */
    REFUSED_FORWARDED,   /* an X-Forwarded-For that cannot be read */
    REFUSED_SLOW_HEAD,
    REFUSED_SLOW_BODY,
    REFUSED_SLOW_READER,
    REFUSED_BODIES,  /* too many of one address or /64 on their way */
    REFUSED_MEMORY,  /* the budget for bodies is used up */
    REFUSED_STREAMS, /* too many at once */
    REFUSED_RESETS,  /* an HTTP/2 connection that aborts and aborts */
    SERVER_REFUSALS,
};
struct server_counters {
    uint64_t connections, connections_open, requests, body_bytes /* reserved now */, streams_open;
    uint64_t refusals[SERVER_REFUSALS];
};
void server_get_counters(const struct server *server, struct server_counters *ret); /* any thread */

#endif
