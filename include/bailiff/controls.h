/* How a job is run: its time limit, and what becomes of attempts that fail or are lost. Pure rules.
 *
 * They stand in the application, in the server's configuration, in a submit's body and in a job's row, always in the same words:
 *   {"max": 3, "delay": "1s", "delay_max": "5m", "backoff": 2, "jitter": 0.1, "on": ["timeout", "exit:75", "ConnectionError"]} */
#ifndef BAILIFF_CONTROLS_H
#define BAILIFF_CONTROLS_H

#include "bailiff/fault.h"
#include "bailiff/json.h"
#include "bailiff/text.h"

enum {
    RETRIES_MAX = 100,
    RETRY_CAUSES_MAX = 16,
    RETRY_CAUSE_BYTES_MAX = 200,
    RETRY_DELAY_MS_MAX = 24 * 3600 * 1000,
    RETRY_BACKOFF_MAX = 10,
    THOUSANDTHS = 1000,
    CONCURRENCY_MAX = 1024,
};
#define TIMEOUT_MS_MAX (INT64_C(30) * 24 * 3600 * 1000)

struct id_list { /* of strings */
    const char **items;
    size_t count;
};

struct retries {
    unsigned max;         /* how many failed attempts are followed by another; 0: none */
    int64_t delay_ms;     /* before the first; not known to be exact: see jitter */
    int64_t delay_max_ms; /* no delay is longer */
    unsigned backoff;     /* thousandths: each delay is so many times the one before */
    unsigned
        jitter; /* thousandths: by up to this part a delay is shorter, at random, so that many do not come together */
    struct id_list on; /* causes */
};

enum lost_rule {
    LOST_UNSAID,
    LOST_RESTART,
    LOST_FAIL
}; /* what becomes of a job whose process was lost with the machine */

struct controls {
    int64_t timeout_ms; /* of an attempt; 0: none; -1: not said */
    bool has_retries;   /* they were said */
    struct retries retries;
    enum lost_rule lost;
};
#define CONTROLS_UNSAID ((struct controls){.timeout_ms = -1})

/* Why an attempt failed. */
enum failure_cause { CAUSE_ERROR, CAUSE_TIMEOUT, CAUSE_LOST };
struct failure {
    enum failure_cause cause;
    bool exited, signaled; /* the next two are valid */
    int exit_code, signal;
    struct id_list
        exceptions; /* of Python: the class and its bases, each with its module ("requests.exceptions.Timeout") */
};

/* Reads the form above. `at` names it in messages ("retries"). Unknown members, bad causes and what is out of bounds are INVALID. */
must_check bool retries_read(const json_t *object, const char *at, struct arena *arena, struct retries *ret,
                             struct fault *fault);
void retries_write(struct text *json, const struct retries *retries);
/* What is said in `above` goes before what is said in `below`. */
struct controls controls_merge(const struct controls *above, const struct controls *below);
/* A job's row keeps retries and the rule for losses as one JSON object; NULL: nothing was said. */
must_check bool controls_read(struct span json, struct arena *arena, struct controls *ret, struct fault *fault);
char *controls_text(const struct controls *controls, struct arena *arena);

/* "restart", "fail" */
must_check bool lost_rule_parse(struct span s, enum lost_rule *ret);
const char *lost_rule_name(enum lost_rule rule); /* NULL: not said */

/* Whether a job that has been retried `used` times is to be tried again. */
bool retries_allow(const struct retries *retries, unsigned used, const struct failure *failure);
/* How long to wait then; `random` is any 32 bits. */
int64_t retries_delay_ms(const struct retries *retries, unsigned used, uint32_t random);

#endif
