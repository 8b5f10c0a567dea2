/* Requests to a server's API, for the subcommands that are its clients. Blocking; one thread; module auth, which knows libcurl.
 *
 * Over TLS 1.2 or later, verified, or plainly to this very machine (loopback, Unix socket); HTTP/1.1; no redirect is followed; no
 * proxy; nothing is taken from the environment; limits of time and size. */
#ifndef BAILIFF_CALLER_H
#define BAILIFF_CALLER_H

#include "bailiff/fault.h"
#include "bailiff/text.h"

enum { CALLER_URL_MAX = 1024, CALLER_BODY_MAX = 1 << 20 };

struct caller_options {            /* strings are copied */
    const char *url;               /* see caller_url_fault */
    const char *ca_file;           /* PEM: these CAs alone; NULL: the system's */
    const char *certificate, *key; /* PEM, ours; both or none */
    const char *token;             /* bearer; NULL: none */
};
/* https://host[:port][/path], http://… of the loopback, or unix:/path. NULL if it is one of these, else what is wrong with it. */
const char *caller_url_fault(const char *url);

struct caller;
must_check bool caller_new(const struct caller_options *options, struct caller **ret_caller, struct fault *fault);
void caller_free(struct caller *caller);
static inline void caller_freep(struct caller **caller)
{
    caller_free(*caller);
}

struct caller_request {
    const char *method, *path; /* "/api/v1/…" with its query */
    const char *body;          /* JSON, or NULL */
    const char *const *fields; /* more of the head: "Name: value" */
    size_t field_count;
    unsigned timeout_ms; /* for the whole; 0: 30 s. Not for a stream */
    size_t body_max;     /* 0: CALLER_BODY_MAX. Not for a stream */
    /* A stream: each piece of a body of status 200 as it comes, without limits of size and time; false ends it. NULL: no stream. */
    bool (*take)(void *arg, const char *data, size_t len);
    void *arg;
    unsigned silence_s; /* of a stream: a connection that is silent for so long is taken for dead; 0: never */
};

enum caller_end {
    CALLER_ANSWERED,  /* whole */
    CALLER_UNREACHED, /* nothing was sent */
    CALLER_BROKEN,    /* what was sent may or may not have been done; or a stream was cut */
    CALLER_REFUSED,   /* the answer is beyond a limit, or take() said no: another try would not help */
};
struct caller_answer {
    int status;
    struct text head, body; /* field lines, each ending with a newline; the body, unless it was streamed */
};
void caller_answer_done(struct caller_answer *answer);
/* The value of a field; empty span: it is not there. */
struct span caller_answer_field(const struct caller_answer *answer, const char *name);

/* Fills *ret (to be done by the caller) only if ANSWERED; else the fault says what happened, without a secret. */
must_check enum caller_end caller_send(struct caller *caller, const struct caller_request *request,
                                       struct caller_answer *ret, struct fault *fault);

#endif
