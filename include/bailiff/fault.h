/* What went wrong, in a struct of the caller's: a kind, one sentence for the client, and a detail for the log only.
 *
 * A fallible function returns bool, takes `struct fault *` last, fills it once, where the error happens, and leaves its
 * `ret_…` arguments untouched. Only http/problem.c knows which kind is which HTTP status. */
#ifndef BAILIFF_FAULT_H
#define BAILIFF_FAULT_H

#include "bailiff/common.h"

enum fault_kind {
    FAULT_NONE = 0,
    FAULT_INVALID,           /* the request, file or argument is wrong; the message says where and how */
    FAULT_UNAUTHENTICATED,   /* no or unusable credentials */
    FAULT_FORBIDDEN,         /* known caller, no permission */
    FAULT_NOT_FOUND,         /* does not exist, or may not be seen by this caller */
    FAULT_METHOD,            /* the resource has no such method */
    FAULT_CONFLICT,          /* the state forbids it now */
    FAULT_PRECONDITION,      /* If-Match did not hold */
    FAULT_TOO_LARGE,         /* body over its limit */
    FAULT_UNSUPPORTED_MEDIA, /* content type */
    FAULT_UNPROCESSABLE,     /* Idempotency-Key used before with another request */
    FAULT_TOO_MANY,          /* a caller's limit; retry_after_s is set */
    FAULT_UNAVAILABLE,       /* overload, full disk, runner away; retry_after_s is set */
    FAULT_INTERNAL,          /* a bug or a broken machine: the message is general, the detail is logged */
};

struct fault {
    enum fault_kind kind;
    unsigned retry_after_s; /* TOO_MANY, UNAVAILABLE: when to come back; else 0 */
    char message[512]; /* one sentence for the client or operator: what, where, what to do. No secret, no internals. */
    char detail[512];  /* for the log; may name files, SQL, errno; may be empty */
};

/* Fill a fault; always return false, so that an error path is `return fault_set(…);`. fault may be NULL.
 * A second call on a filled fault is ignored: the first cause is the true one. Long texts are cut on a UTF-8 border. */
bool fault_set(struct fault *fault, enum fault_kind kind, const char *format, ...) printf_like(3, 4);
bool fault_unavailable(struct fault *fault, unsigned retry_after_s, const char *format, ...) printf_like(3, 4);
/* INTERNAL with a general message; the text given is the detail. */
bool fault_internal(struct fault *fault, const char *format, ...) printf_like(2, 3);
/* Adds a detail to a filled fault (ignored if it has one). */
bool fault_detail(struct fault *fault, const char *format, ...) printf_like(2, 3);

#endif
