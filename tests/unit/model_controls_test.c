/* Time limits, retries and the rule for losses: reading, matching, delays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "bailiff/controls.h"

static struct arena arena;

static bool read_it(const char *json, struct retries *ret, struct fault *fault)
{
    own(json_freep) json_t *object = NULL;

    assert_true(json_read(span_of(json), "It", &object, fault));
    return retries_read(object, "retries", &arena, ret, fault);
}

static struct retries good(const char *json)
{
    struct fault fault = {0};
    struct retries r;

    if (!read_it(json, &r, &fault))
        fail_msg("%s: %s", json, fault.message);
    return r;
}

static void assert_bad(const char *json, const char *words)
{
    struct fault fault = {0};
    struct retries r;

    assert_false(read_it(json, &r, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    if (!strstr(fault.message, words))
        fail_msg("%s: %s", json, fault.message);
}

static void what_is_not_said_is_sensible(void **state)
{
    struct retries r = good("{\"max\":3}");

    assert_int_equal(r.max, 3);
    assert_int_equal(r.delay_ms, 1000);
    assert_int_equal(r.delay_max_ms, 300000);
    assert_int_equal(r.backoff, 2000);
    assert_int_equal(r.jitter, 100);
    assert_int_equal(r.on.count, 2);
    assert_string_equal(r.on.items[0], "error");
    assert_string_equal(r.on.items[1], "timeout");
    assert_int_equal(good("{\"max\":1,\"delay\":\"10m\"}").delay_max_ms, 600000); /* never less than the first */
}

static void everything_can_be_said(void **state)
{
    struct retries r = good("{\"max\":100,\"delay\":\"500ms\",\"delay_max\":\"2s\",\"backoff\":1.5,\"jitter\":0,"
                            "\"on\":[\"lost\",\"exit:75\",\"signal:KILL\",\"ConnectionError\"]}");
    own(text_done) struct text json = {0};

    retries_write(&json, &r);
    assert_string_equal(json.data, "{\"max\":100,\"delay\":\"500ms\",\"delay_max\":\"2s\",\"backoff\":1.5,\"jitter\":0,"
                                   "\"on\":[\"lost\",\"exit:75\",\"signal:KILL\",\"ConnectionError\"]}");
    r = good(json.data); /* reads the same */
    assert_int_equal(r.backoff, 1500);
    assert_int_equal(r.on.count, 4);
}

static void mistakes_are_told(void **state)
{
    assert_bad("[]", "must be an object");
    assert_bad("{}", "retries.max must be given");
    assert_bad("{\"max\":-1}", "from 0 to 100");
    assert_bad("{\"max\":101}", "from 0 to 100");
    assert_bad("{\"max\":\"3\"}", "retries.max");
    assert_bad("{\"max\":1,\"tries\":2}", "no member 'tries'");
    assert_bad("{\"max\":1,\"delay\":\"1\"}", "retries.delay must be a time");
    assert_bad("{\"max\":1,\"delay\":5}", "retries.delay must be a time");
    assert_bad("{\"max\":1,\"delay\":\"25h\"}", "more than 24h");
    assert_bad("{\"max\":1,\"delay\":\"10s\",\"delay_max\":\"1s\"}", "less than the first delay");
    assert_bad("{\"max\":1,\"backoff\":0.5}", "from 1 to 10");
    assert_bad("{\"max\":1,\"backoff\":11}", "from 1 to 10");
    assert_bad("{\"max\":1,\"jitter\":1.1}", "from 0 to 1");
    assert_bad("{\"max\":1,\"jitter\":\"0\"}", "retries.jitter");
    assert_bad("{\"max\":1,\"on\":[]}", "1 to 16 causes");
    assert_bad("{\"max\":1,\"on\":\"error\"}", "1 to 16 causes");
    assert_bad("{\"max\":1,\"on\":[7]}", "what is not text is no cause");
    assert_bad("{\"max\":1,\"on\":[\"tiemout\"]}", "tiemout is no cause");
    assert_bad("{\"max\":1,\"on\":[\"exit:0\"]}", "exit:0");
    assert_bad("{\"max\":1,\"on\":[\"exit:256\"]}", "exit:256");
    assert_bad("{\"max\":1,\"on\":[\"signal:NONE\"]}", "signal:NONE");
    assert_bad("{\"max\":1,\"on\":[\"signal:65\"]}", "signal:65");
    assert_bad("{\"max\":1,\"on\":[\"a..B\"]}", "a..B");
    assert_bad("{\"max\":1,\"on\":[\"A.\"]}", "A.");
    assert_bad("{\"max\":1,\"on\":[\"A b\"]}", "A b");
}

static bool allows(const char *cause, struct failure failure)
{
    own(freep) char *json = xprintf("{\"max\":1,\"on\":[\"%s\"]}", cause);
    struct retries r = good(json);

    return retries_allow(&r, 0, &failure);
}

static void causes_fit_what_happened(void **state)
{
    const char *names[] = {"requests.exceptions.ConnectTimeout", "requests.exceptions.Timeout", "OSError", "Exception"};
    const struct failure timeout = {.cause = CAUSE_TIMEOUT}, lost = {.cause = CAUSE_LOST},
                         exited = {.exited = true, .exit_code = 75}, killed = {.signaled = true, .signal = SIGKILL},
                         raised = {.exceptions = {names, 4}};

    assert_true(allows("timeout", timeout) && !allows("timeout", lost) && !allows("timeout", exited));
    assert_true(allows("lost", lost) && !allows("lost", timeout) && !allows("lost", killed));
    assert_true(allows("error", exited) && allows("error", killed) && allows("error", raised));
    assert_true(!allows("error", timeout) && !allows("error", lost));
    assert_true(allows("exit:75", exited) && !allows("exit:7", exited) && !allows("exit:75", killed));
    assert_true(allows("signal:9", killed) && allows("signal:KILL", killed) && allows("signal:SIGKILL", killed));
    assert_true(!allows("signal:TERM", killed) && !allows("signal:KILL", exited));
    assert_true(allows("requests.exceptions.Timeout", raised) &&
                allows("Timeout", raised)); /* a class it is derived from */
    assert_true(allows("OSError", raised) && !allows("other.Timeout", raised) && !allows("ValueError", raised));
    assert_false(allows("Timeout", timeout)); /* a time limit raises nothing */
}

static void no_more_than_allowed(void **state)
{
    struct retries r = good("{\"max\":2}");
    const struct failure failure = {0};

    assert_true(retries_allow(&r, 0, &failure) && retries_allow(&r, 1, &failure));
    assert_false(retries_allow(&r, 2, &failure));
    r = good("{\"max\":0}");
    assert_false(retries_allow(&r, 0, &failure));
}

static void delays_grow_and_are_spread(void **state)
{
    struct retries r = good("{\"max\":9,\"delay\":\"1s\",\"delay_max\":\"5s\",\"backoff\":2,\"jitter\":0.5}");

    assert_int_equal(retries_delay_ms(&r, 0, 0), 1000);
    assert_int_equal(retries_delay_ms(&r, 1, 0), 2000);
    assert_int_equal(retries_delay_ms(&r, 2, 0), 4000);
    assert_int_equal(retries_delay_ms(&r, 3, 0), 5000);
    assert_int_equal(retries_delay_ms(&r, 99, 0), 5000);
    assert_int_equal(retries_delay_ms(&r, 0, UINT32_MAX), 500);
    assert_int_equal(retries_delay_ms(&r, 8, UINT32_MAX), 2500);
    r = good("{\"max\":9,\"delay\":0}");
    assert_int_equal(retries_delay_ms(&r, 5, 1), 0);
}

static void what_is_said_above_goes_first(void **state)
{
    struct controls above = CONTROLS_UNSAID, below = CONTROLS_UNSAID, merged;

    below.timeout_ms = 5000;
    below.has_retries = true;
    below.retries = good("{\"max\":1}");
    below.lost = LOST_FAIL;
    merged = controls_merge(&above, &below);
    assert_int_equal(merged.timeout_ms, 5000);
    assert_int_equal(merged.retries.max, 1);
    assert_int_equal(merged.lost, LOST_FAIL);
    above.timeout_ms = 0; /* no limit, in so many words */
    above.has_retries = true;
    above.lost = LOST_RESTART;
    merged = controls_merge(&above, &below);
    assert_int_equal(merged.timeout_ms, 0);
    assert_int_equal(merged.retries.max, 0);
    assert_int_equal(merged.lost, LOST_RESTART);
}

static void a_job_keeps_them(void **state)
{
    struct controls c = CONTROLS_UNSAID, read;
    struct fault fault = {0};

    assert_null(controls_text(&c, &arena)); /* most jobs have nothing to keep */
    c.has_retries = true;
    c.retries = good("{\"max\":3,\"on\":[\"timeout\"]}");
    c.lost = LOST_FAIL;
    assert_true(controls_read(span_of(controls_text(&c, &arena)), &arena, &read, &fault));
    assert_true(read.has_retries);
    assert_int_equal(read.retries.max, 3);
    assert_string_equal(read.retries.on.items[0], "timeout");
    assert_int_equal(read.lost, LOST_FAIL);
    assert_true(controls_read((struct span){0}, &arena, &read, &fault));
    assert_false(read.has_retries);
    assert_int_equal(read.timeout_ms, -1);
    assert_false(controls_read(span_of("{\"lost_jobs\":\"perhaps\"}"), &arena, &read, &fault));
}

static int end(void **state)
{
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_sensible),
        cmocka_unit_test(everything_can_be_said),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(causes_fit_what_happened),
        cmocka_unit_test(no_more_than_allowed),
        cmocka_unit_test(delays_grow_and_are_spread),
        cmocka_unit_test(what_is_said_above_goes_first),
        cmocka_unit_test(a_job_keeps_them),
    };

    return cmocka_run_group_tests_name("model_controls", tests, NULL, end);
}
