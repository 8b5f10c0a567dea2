#include "bailiff/controls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bailiff/quantity.h"

enum { DELAY_MS = 1000, DELAY_MAX_MS = 300000, BACKOFF = 2 * THOUSANDTHS, JITTER = THOUSANDTHS / 10 };

static const char *const DEFAULT_CAUSES[] = {"error", "timeout"};

/* ---- causes ---- */

static bool is_part_of_name(char c)
{
    return c == '_' || (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* "ConnectionError", "socket.timeout": without a module a name begins with a capital, so that a misspelt "tiemout" is none. */
static bool is_exception(const char *s)
{
    bool dotted = strchr(s, '.') != NULL;

    if (!dotted && !(s[0] >= 'A' && s[0] <= 'Z'))
        return false;
    for (const char *p = s; *p; p++)
        if (!is_part_of_name(*p) && !(*p == '.' && p > s && p[-1] != '.' && p[1] != '\0'))
            return false;
    return s[0] < '0' || s[0] > '9';
}

/* 9, KILL or SIGKILL; 0: no signal. */
static int signal_number(const char *name)
{
    uint64_t number;

    if (span_to_u64(span_of(name), 64, &number))
        return (int)number;
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < 32; i++)
        if (str_eq(sigabbrev_np(i), name))
            return i;
    return 0;
}

static bool is_cause(const char *s)
{
    uint64_t number;

    if (strcmp(s, "error") == 0 || strcmp(s, "timeout") == 0 || strcmp(s, "lost") == 0)
        return true;
    if (strncmp(s, "exit:", 5) == 0)
        return span_to_u64(span_of(s + 5), 255, &number) && number > 0;
    if (strncmp(s, "signal:", 7) == 0)
        return signal_number(s + 7) > 0;
    return is_exception(s);
}

/* A name without a module stands for that class of any module. */
static bool is_one_of(const char *name, const struct id_list *exceptions)
{
    bool dotted = strchr(name, '.') != NULL;

    for (size_t i = 0; i < exceptions->count; i++) {
        const char *dot = strrchr(exceptions->items[i], '.');
        if (str_eq(exceptions->items[i], name) || (!dotted && dot && str_eq(dot + 1, name)))
            return true;
    }
    return false;
}

static bool fits(const char *cause, const struct failure *f)
{
    if (strcmp(cause, "timeout") == 0)
        return f->cause == CAUSE_TIMEOUT;
    if (strcmp(cause, "lost") == 0)
        return f->cause == CAUSE_LOST;
    if (f->cause != CAUSE_ERROR)
        return false;
    if (strcmp(cause, "error") == 0)
        return true;
    if (strncmp(cause, "exit:", 5) == 0)
        return f->exited && f->exit_code == atoi(cause + 5);
    if (strncmp(cause, "signal:", 7) == 0)
        return f->signaled && f->signal == signal_number(cause + 7);
    return is_one_of(cause, &f->exceptions);
}

bool retries_allow(const struct retries *retries, unsigned used, const struct failure *failure)
{
    for (size_t i = 0; used < retries->max && i < retries->on.count; i++)
        if (fits(retries->on.items[i], failure))
            return true;
    return false;
}

int64_t retries_delay_ms(const struct retries *retries, unsigned used, uint32_t random)
{
    double delay = (double)retries->delay_ms, most = (double)retries->delay_max_ms;

    for (unsigned i = 0; i < used && delay < most; i++)
        delay *= (double)retries->backoff / THOUSANDTHS;
    delay = MIN(delay, most);
    delay -= delay * retries->jitter / THOUSANDTHS * ((double)random / UINT32_MAX);
    return (int64_t)delay;
}

/* ---- reading ---- */

static bool read_time(const json_t *object, const char *at, const char *key, int64_t absent, int64_t *ret,
                      struct fault *fault)
{
    const json_t *value = json_object_get(object, key);
    uint64_t ms;

    *ret = absent;
    if (!value)
        return true;
    if (json_is_integer(value) && json_integer_value(value) == 0)
        ms = 0;
    else if (!json_is_string(value) || !duration_parse(span_of(json_string_value(value)), &ms))
        return fault_set(fault, FAULT_INVALID,
                         "%s.%s must be a time: a whole number with its unit, such as 500ms, 10s, 5m or 24h.", at, key);
    if (ms > RETRY_DELAY_MS_MAX)
        return fault_set(fault, FAULT_INVALID, "%s.%s is more than 24h.", at, key);
    *ret = (int64_t)ms;
    return true;
}

static bool read_thousandths(const json_t *object, const char *at, const char *key, double min, double max,
                             unsigned absent, unsigned *ret, struct fault *fault)
{
    const json_t *value = json_object_get(object, key);
    double number = json_number_value(value);

    *ret = absent;
    if (!value)
        return true;
    if (!json_is_number(value) || !(number >= min && number <= max))
        return fault_set(fault, FAULT_INVALID, "%s.%s must be a number from %g to %g.", at, key, min, max);
    *ret = (unsigned)(number * THOUSANDTHS + 0.5);
    return true;
}

static bool read_max(const json_t *object, const char *at, unsigned *ret, struct fault *fault)
{
    const json_t *value = json_object_get(object, "max");

    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > RETRIES_MAX)
        return fault_set(fault, FAULT_INVALID,
                         "%s.max must be given: how often a failed attempt is followed by another, from 0 to %d.", at,
                         RETRIES_MAX);
    *ret = (unsigned)json_integer_value(value);
    return true;
}

static bool read_causes(const json_t *object, const char *at, struct arena *arena, struct id_list *ret,
                        struct fault *fault)
{
    const json_t *value = json_object_get(object, "on");
    size_t count = value ? json_array_size(value) : ARRAY_LEN(DEFAULT_CAUSES);

    if (value && (!json_is_array(value) || count == 0 || count > RETRY_CAUSES_MAX))
        return fault_set(fault, FAULT_INVALID, "%s.on must be a list of 1 to %d causes.", at, RETRY_CAUSES_MAX);
    ret->items = arena_alloc(arena, count * sizeof(*ret->items));
    ret->count = count;
    for (size_t i = 0; i < count; i++) {
        const char *cause = value ? json_string_value(json_array_get(value, i)) : DEFAULT_CAUSES[i];
        if (!cause || strlen(cause) > RETRY_CAUSE_BYTES_MAX || !is_cause(cause))
            return fault_set(
                fault, FAULT_INVALID,
                "%s.on: %.80s is no cause; there are error, timeout, lost, exit:75, signal:KILL, and names of "
                "exceptions such as ConnectionError or requests.exceptions.Timeout.",
                at, cause ? cause : "what is not text");
        ret->items[i] = arena_strdup(arena, cause);
    }
    return true;
}

static bool refuse_unknown(const json_t *object, const char *at, struct fault *fault)
{
    static const char *const MEMBERS[] = {"max", "delay", "delay_max", "backoff", "jitter", "on"};
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return fault_set(fault, FAULT_INVALID, "%s must be an object, such as {\"max\": 3, \"delay\": \"1s\"}.", at);
    json_object_foreach ((json_t *)object, name, value) {
        size_t i = 0;
        while (i < ARRAY_LEN(MEMBERS) && strcmp(MEMBERS[i], name) != 0)
            i++;
        if (i == ARRAY_LEN(MEMBERS))
            return fault_set(fault, FAULT_INVALID,
                             "%s has no member '%.40s'; there are max, delay, delay_max, backoff, jitter, on.", at,
                             name);
    }
    return true;
}

bool retries_read(const json_t *object, const char *at, struct arena *arena, struct retries *ret, struct fault *fault)
{
    struct retries r = {0};

    if (!refuse_unknown(object, at, fault) || !read_max(object, at, &r.max, fault) ||
        !read_time(object, at, "delay", DELAY_MS, &r.delay_ms, fault) ||
        !read_time(object, at, "delay_max", MAX(r.delay_ms, (int64_t)DELAY_MAX_MS), &r.delay_max_ms, fault) ||
        !read_thousandths(object, at, "backoff", 1, RETRY_BACKOFF_MAX, BACKOFF, &r.backoff, fault) ||
        !read_thousandths(object, at, "jitter", 0, 1, JITTER, &r.jitter, fault) ||
        !read_causes(object, at, arena, &r.on, fault))
        return false;
    if (r.delay_max_ms < r.delay_ms)
        return fault_set(fault, FAULT_INVALID, "%s.delay_max is less than the first delay.", at);
    *ret = r;
    return true;
}

/* ---- writing ---- */

static void write_time(struct text *json, const char *key, int64_t ms)
{
    own(text_done) struct text time = {0};

    duration_format((uint64_t)ms, &time);
    jw_member_string(json, key, time.data);
}

/* 2, 1.5, 0.125 */
static void write_thousandths(struct text *json, const char *key, unsigned n)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%u.%03u", n / THOUSANDTHS, n % THOUSANDTHS);

    while (text[len - 1] == '0')
        text[--len] = '\0';
    if (text[len - 1] == '.')
        text[--len] = '\0';
    jw_member_raw(json, key, text);
}

void retries_write(struct text *json, const struct retries *retries)
{
    jw_open(json, '{');
    jw_member_int(json, "max", retries->max);
    write_time(json, "delay", retries->delay_ms);
    write_time(json, "delay_max", retries->delay_max_ms);
    write_thousandths(json, "backoff", retries->backoff);
    write_thousandths(json, "jitter", retries->jitter);
    jw_key(json, "on");
    jw_open(json, '[');
    for (size_t i = 0; i < retries->on.count; i++)
        jw_string(json, retries->on.items[i]);
    jw_close(json, ']');
    jw_close(json, '}');
}

/* ---- together ---- */

bool lost_rule_parse(struct span s, enum lost_rule *ret)
{
    if (!span_is(s, "restart") && !span_is(s, "fail"))
        return false;
    *ret = span_is(s, "fail") ? LOST_FAIL : LOST_RESTART;
    return true;
}

const char *lost_rule_name(enum lost_rule rule)
{
    return rule == LOST_FAIL ? "fail" : rule == LOST_RESTART ? "restart" : NULL;
}

struct controls controls_merge(const struct controls *above, const struct controls *below)
{
    struct controls merged = *below;

    if (above->timeout_ms >= 0)
        merged.timeout_ms = above->timeout_ms;
    if (above->has_retries) {
        merged.has_retries = true;
        merged.retries = above->retries;
    }
    if (above->lost != LOST_UNSAID)
        merged.lost = above->lost;
    return merged;
}

bool controls_read(struct span json, struct arena *arena, struct controls *ret, struct fault *fault)
{
    own(json_freep) json_t *object = NULL;
    struct controls c = CONTROLS_UNSAID;

    if (json.len == 0) {
        *ret = c;
        return true;
    }
    if (!json_read(json, "What is kept of a job", &object, fault))
        return false;
    const json_t *retries = json_object_get(object, "retries"), *lost = json_object_get(object, "lost_jobs");
    c.has_retries = retries != NULL;
    if (retries && !retries_read(retries, "retries", arena, &c.retries, fault))
        return false;
    if (lost && !lost_rule_parse(span_of(json_string_value(lost)), &c.lost))
        return fault_internal(fault, "a job's rule for losses is neither restart nor fail");
    *ret = c;
    return true;
}

char *controls_text(const struct controls *controls, struct arena *arena)
{
    own(text_done) struct text json = {0};

    if ((!controls->has_retries || controls->retries.max == 0) && controls->lost == LOST_UNSAID)
        return NULL;
    jw_open(&json, '{');
    if (controls->has_retries) {
        jw_key(&json, "retries");
        retries_write(&json, &controls->retries);
    }
    if (controls->lost != LOST_UNSAID)
        jw_member_string(&json, "lost_jobs", lost_rule_name(controls->lost));
    jw_close(&json, '}');
    return arena_strndup(arena, json.data, json.len);
}
