/* Exchanges, the chain and the route table: HTTP as values. No sockets; everything here runs in a unit test.
 *
 * An exchange is one request and its response. It lives on one loop thread. It enters the stages of the chain downwards, is handled,
 * and leaves every stage it entered upwards. A stage or handler may answer, pass, or wait. */
#ifndef BAILIFF_HTTP_H
#define BAILIFF_HTTP_H

#include "bailiff/fault.h"
#include "bailiff/json.h"
#include "bailiff/model.h"
#include "bailiff/ticket.h"

/* ---- methods, headers ---- */
enum method { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, METHOD_OTHER, METHOD_COUNT };
const char *method_name(enum method m);
enum method method_parse(struct span s); /* METHOD_OTHER if unknown; case-sensitive */

struct header {
    struct span name, value;
};
struct header_list {
    struct header *items;
    size_t count, cap;
};

#define HSTS_VALUE "max-age=63072000; includeSubDomains" /* RFC 6797: two years */

/* ---- routes ---- */
struct exchange;
enum flow {
    FLOW_NEXT,     /* enter: go on to the next stage. leave: go on. Handlers never return it */
    FLOW_ANSWERED, /* the response is set. From leave: it was replaced; leaving goes on */
    FLOW_WAIT,     /* exchange_wait was called; goes on when its ticket completes */
};
typedef enum flow (*exchange_fn)(struct exchange *x);

struct route {
    enum method method;
    const char *path; /* segments, each literal or "{name}"; always ends with "/" but for single files: "/livez" */
    enum permission needs;
    size_t body_max; /* 0: no body allowed */
    exchange_fn handler;
};
enum { ROUTE_PARAMS_MAX = 4 };
struct route_param {
    const char *name;
    const char *value; /* in the exchange's arena */
};
struct route_table {
    const struct route *routes;
    size_t count;
};
enum route_match { ROUTE_FOUND, ROUTE_UNKNOWN_PATH, ROUTE_WRONG_METHOD };
enum { ROUTE_PATH_MAX = 1024 };
/* Matches strictly: nothing is decoded; a path that is too long or not in its normal form ("//", "/./", "%2f", control or
 * non-ASCII characters) is unknown. One slash at the end is optional. The first row that fits wins, so literal rows stand
 * before "{name}" ones. HEAD finds GET's row. ret_allow (bits 1 << method) is set unless the path is unknown. */
enum route_match route_find(const struct route_table *table, enum method method, struct span path, struct arena *arena,
                            const struct route **ret_route, struct route_param ret_params[static ROUTE_PARAMS_MAX],
                            unsigned *ret_allow);
void route_allow_text(unsigned allow, struct text *out); /* "GET, HEAD, OPTIONS" */
/* Unknown paths, wrong methods and OPTIONS get rows that stand in no table, so that they pass the same stages. They need PERM_ANY
 * and take a body of any size and type, unread, so that the answer is 404 and not 413 or 415. */
bool route_is_builtin(const struct route *route);

/* ---- chain ---- */
struct stage {
    const char *name;
    exchange_fn enter;                /* NULL: passes. FLOW_ANSWERED ends the way down */
    exchange_fn leave;                /* before the head is sent; may replace the response, may wait */
    void (*done)(struct exchange *x); /* after the last byte, or the abort: also of a stage that was still entering */
};
struct chain {
    const struct stage *stages;
    size_t stage_count;
    struct route_table routes;
};

/* ---- bodies that are produced piece by piece ---- */
enum source_state { SOURCE_MORE, SOURCE_LATER /* nothing now: ask again in a moment */, SOURCE_END, SOURCE_FAILED };
struct body_source {
    /* Appends the next piece (some 16 KiB) to out. FAILED aborts the connection: never short but valid. Loop thread. */
    enum source_state (*pull)(struct body_source *source, struct text *out);
    /* After LATER: completes the ticket when it may have something; it is asked again within a second anyway. NULL: it is asked again
     * in a moment. */
    void (*await)(struct body_source *source, struct ticket *ticket);
    void (*free)(struct body_source *source);
};

struct response {
    int status; /* 0: not answered yet */
    struct header_list headers;
    struct text body;           /* whole body … */
    struct body_source *source; /* … or its source; owned */
    int64_t source_length;      /* known length of the source, or -1: chunked */
    bool close;                 /* close the connection afterwards */
};

enum wire { WIRE_DOCUMENTED, WIRE_TAIPY };

struct services; /* floor 5 and up: include/bailiff/services.h */
struct bench;    /* what a loop thread has of its own: reader, caches */
struct snapshot; /* policy and keys */

struct exchange {
    /* ---- set by the server (or a test) before chain_start; memory of the caller's that outlives the exchange ---- */
    const struct chain *chain;
    const struct services *services;
    struct bench *bench;
    struct inbox *inbox; /* of this loop: tickets come home here */
    enum method method;
    struct span method_text, path, query /* without '?' */, body;
    struct header_list request_headers;
    const char *address;                   /* client's, as text */
    bool address_own;                      /* it is one client's: neither a trusted proxy's, nor a Unix socket's */
    bool proxied;                          /* the connection is a trusted proxy's, and may carry others' requests too */
    bool secure;                           /* over TLS */
    const struct certificate *certificate; /* the client's, verified by the listener; NULL: it has none */
    void (*answer)(struct exchange *x);    /* called once, when the response is complete: server sends it */
    void *server_data;

    /* ---- filled on the way ---- */
    struct arena arena; /* everything made for this exchange */
    enum wire wire;
    const struct route *route;
    struct route_param params[ROUTE_PARAMS_MAX];
    unsigned allow;
    char request_id[37];
    const char *client_request_id;
    const char *trace_id;      /* 32 hex digits, from traceparent, or NULL */
    struct snapshot *snapshot; /* of policy and keys: pinned by the first stage for the exchange's whole life */
    struct identity *identity; /* counted */
    struct decision decision;
    struct scope scope;
    struct fault fault;  /* why it was refused or failed: for log and audit */
    bool refused_singly; /* … by a record of its own, not in a counted one */
    bool refused;        /* by a stage: recorded as a refusal */
    bool audited;        /* its record has been queued with its change */
    bool quota_held;     /* by the quota stage, to be given back */
    bool draining;       /* the server is about to end: a stream that can be taken up again elsewhere should end, too */
    bool idempotent;
    const void *replay; /* a stored answer that the handler must bring up to date (Prefer: wait), or NULL */
    uint8_t idempotency_key[32], idempotency_request[32];
    exchange_fn after_commit; /* handlers': what follows a change */
    void *handler_data;       /* handlers': what they keep between turns, in the arena */
    struct response response;
    int64_t started_us;

    /* ---- the chain's own ---- */
    size_t entered;  /* stages entered so far, the one being entered included */
    size_t to_leave; /* of them, not left yet */
    enum { PHASE_ENTER, PHASE_HANDLE, PHASE_LEAVE, PHASE_SENT } phase; /* in done: other than SENT if aborted before */
    exchange_fn resume;
    struct ticket *ticket;            /* while waiting */
    struct exchange_ticket *finished; /* tickets that came home: payloads live as long as the exchange */
    struct exchange_cleanup *cleanups;
};

/* Finds the row and runs the chain until it waits or has answered. x->answer may call chain_finish and free x: so x may be gone when
 * chain_start (or a drain of the inbox) returns. */
void chain_start(struct exchange *x);
/* After the last byte was sent or the client is gone (also while waiting): every entered stage's done in reverse order, then
 * frees everything but x: body source, cleanups, payloads, identity, arena. */
void chain_finish(struct exchange *x);

/* Waiting: makes the ticket whose other hold goes to the worker; when it completes, resume runs as enter, handler or leave did. The caller
 * then returns FLOW_WAIT. If no worker could be found after all: ticket_complete it and return any other flow; resume does not run. */
struct ticket *exchange_wait(struct exchange *x, exchange_fn resume);
void *exchange_payload(const struct exchange *x); /* in resume and later: what the last finished work made, or NULL */
void exchange_cleanup(struct exchange *x, void (*fn)(void *arg), void *arg); /* at the end, in reverse order */

/* ---- reading a request ---- */
const struct header *exchange_header(const struct exchange *x, const char *name); /* the first; NULL: none */
size_t exchange_header_count(const struct exchange *x, const char *name);
const char *exchange_param(const struct exchange *x, const char *name); /* "{id}"; never NULL for a name in the row */
/* Query parameters by a table; an unknown name, a name twice, bad percent-encoding, control characters or what is not UTF-8 is
 * INVALID. "+" is a blank, as HTML forms and every client library write it. */
enum { QUERY_PARAMS_MAX = 16 };
struct query_param {
    const char *name;
    const char *value; /* decoded, in the arena; NULL: absent; untouched on failure */
};
must_check bool exchange_query(struct exchange *x, struct query_param *params, size_t count, struct fault *fault);
/* The body as JSON, whatever its Content-Type (the body stage looked at that). */
must_check bool exchange_json(struct exchange *x, json_t **ret_body, struct fault *fault);

struct preferences {     /* RFC 7240: what cannot be honoured is left out of Preference-Applied */
    bool representation; /* return=representation */
    bool minimal;
    int wait_s; /* -1: not asked; clamped to 60 */
};
void exchange_preferences(const struct exchange *x, struct preferences *ret);
/* Idempotency-Key: quoted string of the IETF draft, or bare; 1-255 characters; two headers are BAD. NONE: no header. The key is
 * what stands between the quotes, escapes as written (a string has only one spelling). */
enum header_state { HEADER_NONE, HEADER_OK, HEADER_BAD };
enum header_state idempotency_key_read(const struct exchange *x, struct span *ret_key);
/* W3C traceparent, version 00 (higher ones read as 00). NONE: value.data is NULL. */
enum header_state traceparent_read(struct span value, struct span *ret_trace_id, struct span *ret_parent_id,
                                   uint8_t *ret_flags);
/* If-Match / If-None-Match lists (RFC 9110 §13.1): does etag (without quotes) match? weak: compare weakly. */
bool etag_list_matches(struct span list, const char *etag, bool weak);

/* ---- answering ---- Each returns FLOW_ANSWERED. An answer replaces an earlier one, with the headers that described it. */
/* Replaces a header of the same name. name must be static; value is copied, control characters become blanks; NULL removes it. */
void exchange_set_header(struct exchange *x, const char *name, const char *value);
enum flow exchange_answer(struct exchange *x, int status);                         /* no body */
enum flow exchange_answer_json(struct exchange *x, int status, struct text *json); /* takes the text over */
enum flow exchange_answer_source(struct exchange *x, int status, const char *content_type, struct body_source *source,
                                 int64_t length /* -1: unknown */);
/* RFC 9457 problem; in wire taipy {"message"}. Copies the fault into x->fault; 405 gets Allow, 429 and 503 Retry-After, 401 and 403
 * a challenge unless WWW-Authenticate was set before. What described a success (ETag, Location …) is taken back. */
enum flow exchange_fail(struct exchange *x, const struct fault *fault);
/* The same for FORBIDDEN with x->decision as members; roles: those that would have granted it, separated by spaces. */
enum flow exchange_fail_forbidden(struct exchange *x, const struct fault *fault, const char *roles);
/* An answer rendered elsewhere (on the writer thread, or stored for an Idempotency-Key); headers are "Name: value\n" each, or NULL. */
enum flow exchange_answer_stored(struct exchange *x, int status, const char *headers, const char *body,
                                 size_t body_len);
int fault_status(const struct fault *fault);
/* The same as bytes, for answers rendered on the writer thread: status, headers ("Name: value\n" each) and body, in the arena.
 * decision and roles may be NULL. */
void problem_render(enum wire wire, const struct fault *fault, const char *request_id, const struct decision *decision,
                    const char *roles, struct arena *arena, int *ret_status, const char **ret_headers,
                    const char **ret_body, size_t *ret_body_len);

/* ---- small things over OpenSSL's digests ---- They abort when OpenSSL has no memory. */
void digest_sha256(const void *data, size_t len, uint8_t out[static 32]);
struct digest; /* incremental, each piece length-prefixed so that pieces cannot run into each other */
struct digest *digest_new(void);
void digest_add(struct digest *d, struct span piece);
void digest_end(struct digest *d, uint8_t out[static 32]); /* frees d */

/* Cursors: opaque, authenticated with the store's secret, bound to route, filter and sort. */
enum { CURSOR_POSITION_MAX = 512 };
void cursor_seal(const uint8_t secret[static 32], const void *position, size_t len, const uint8_t binding[static 32],
                 struct text *out);
must_check bool cursor_open(const uint8_t secret[static 32], struct span cursor, const uint8_t binding[static 32],
                            void *position, size_t len, struct fault *fault);

#endif
