/* Three stages whose every step can be told what to do; what happened is written down as "+a" entered, "*" handled, "-a" left,
 * "=" answered, "!a" done, "c1" cleaned up. */
#include "http_kit.h"

enum step { PASS, ANSWER, FAIL, WAIT, WAIT_THEN_ANSWER, WAIT_TWICE, WAIT_IN_VAIN, LIE_WAIT, LIE_ANSWER };

struct rig {
    struct exchange x;
    struct inbox *inbox;
    struct text trace;
    enum step enter[3], leave[3], handle;
    struct ticket *ticket; /* the worker's hold */
    unsigned payloads_made, payloads_freed, answers;
    bool finish_in_answer;
    char letter; /* of the step that is waiting; '*' is the handler */
};

static void wake(void *arg)
{
}

static void payload_free(void *payload)
{
    struct rig **rig = payload;

    (*rig)->payloads_freed++;
    free(rig);
}

static void begin_work(struct rig *rig, exchange_fn resume)
{
    struct rig **payload = xmalloc(sizeof(*payload));

    assert_null(rig->ticket);
    *payload = rig;
    rig->ticket = exchange_wait(&rig->x, resume);
    ticket_set_payload(rig->ticket, payload, payload_free);
    rig->payloads_made++;
}

static struct rig *rig_of(struct exchange *x)
{
    return x->server_data;
}

static enum flow pass(struct exchange *x)
{
    struct rig *rig = rig_of(x);

    assert_ptr_equal(*(struct rig **)exchange_payload(x), rig);
    text_printf(&rig->trace, "(%c)", rig->letter);
    return rig->letter == '*' ? exchange_answer(x, 200) : FLOW_NEXT;
}

static enum flow answer_299(struct exchange *x)
{
    text_printf(&rig_of(x)->trace, "(%c)", rig_of(x)->letter);
    return exchange_answer(x, 299);
}

static enum flow wait_again(struct exchange *x)
{
    struct rig *rig = rig_of(x);

    text_printf(&rig->trace, "(%c", rig->letter);
    begin_work(rig, pass);
    assert_non_null(exchange_payload(x)); /* the first one's */
    return FLOW_WAIT;
}

static enum flow take(struct exchange *x, enum step step, char letter)
{
    struct rig *rig = rig_of(x);
    struct fault fault = {0};

    rig->letter = letter;
    switch (step) {
    case ANSWER:
        return exchange_answer(x, 218);
    case FAIL:
        fault_unavailable(&fault, 7, "Come back.");
        return exchange_fail(x, &fault);
    case WAIT:
        begin_work(rig, pass);
        return FLOW_WAIT;
    case WAIT_THEN_ANSWER:
        begin_work(rig, answer_299);
        return FLOW_WAIT;
    case WAIT_TWICE:
        begin_work(rig, wait_again);
        return FLOW_WAIT;
    case WAIT_IN_VAIN: /* the queue was full */
        begin_work(rig, pass);
        ticket_complete(give(rig->ticket));
        fault_unavailable(&fault, 7, "Come back.");
        return exchange_fail(x, &fault);
    case LIE_WAIT:
        return FLOW_WAIT;
    case LIE_ANSWER:
        return FLOW_ANSWERED;
    case PASS:
        break;
    }
    return FLOW_NEXT;
}

static enum flow handle(struct exchange *x)
{
    text_append_str(&rig_of(x)->trace, "*");
    assert_int_equal(x->phase, PHASE_HANDLE);
    return take(x, rig_of(x)->handle, '*');
}

#define STAGE(letter, index)                                   \
    static enum flow letter##_enter(struct exchange *x)        \
    {                                                          \
        text_append_str(&rig_of(x)->trace, "+" #letter);       \
        assert_int_equal(x->phase, PHASE_ENTER);               \
        return take(x, rig_of(x)->enter[index], (#letter)[0]); \
    }                                                          \
    static enum flow letter##_leave(struct exchange *x)        \
    {                                                          \
        text_append_str(&rig_of(x)->trace, "-" #letter);       \
        assert_int_equal(x->phase, PHASE_LEAVE);               \
        return take(x, rig_of(x)->leave[index], (#letter)[0]); \
    }                                                          \
    static void letter##_done(struct exchange *x)              \
    {                                                          \
        text_append_str(&rig_of(x)->trace, "!" #letter);       \
    }
STAGE(a, 0)
STAGE(b, 1)
STAGE(c, 2)

static const struct stage STAGES[] = {
    {"a", a_enter, a_leave, a_done},
    {"b", b_enter, b_leave, b_done},
    {"c", c_enter, c_leave, c_done},
};
static const struct route ROUTES[] = {{GET, "/x/{id}/", PERM_PUBLIC, 0, handle}};
static const struct chain CHAIN = {STAGES, ARRAY_LEN(STAGES), {ROUTES, ARRAY_LEN(ROUTES)}};

static void answered(struct exchange *x)
{
    struct rig *rig = rig_of(x);

    rig->answers++;
    assert_int_equal(x->phase, PHASE_SENT);
    text_append_str(&rig->trace, "=");
    if (rig->finish_in_answer)
        chain_finish(x);
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.inbox = inbox_new(wake, NULL), .handle = ANSWER};
    rig->x = (struct exchange){.chain = &CHAIN, .inbox = rig->inbox, .path = SPAN("/x/1/"), .answer = answered};
    rig->x.server_data = rig;
}

/* The worker ends its work, and the loop turns. */
static void work_done(struct rig *rig)
{
    assert_non_null(rig->ticket);
    ticket_complete(give(rig->ticket));
    inbox_drain(rig->inbox);
}

static void run(struct rig *rig)
{
    chain_start(&rig->x);
    while (rig->ticket)
        work_done(rig);
}

/* Takes the rig down; whoever still works ends after that. */
static void rig_done(struct rig *rig)
{
    if (rig->ticket)
        ticket_complete(give(rig->ticket));
    inbox_drain(rig->inbox);
    assert_int_equal(rig->payloads_freed, rig->payloads_made);
    inbox_free(rig->inbox);
    text_done(&rig->trace);
}

static void finish_and_expect(struct rig *rig, const char *trace)
{
    chain_finish(&rig->x);
    assert_string_equal(rig->trace.data, trace);
    rig_done(rig);
}

static void test_down_and_up(void **state)
{
    struct rig rig;

    rig_init(&rig);
    run(&rig);
    assert_int_equal(rig.x.response.status, 218);
    assert_int_equal(rig.answers, 1);
    assert_ptr_equal(rig.x.route, &ROUTES[0]);
    assert_string_equal(exchange_param(&rig.x, "id"), "1");
    finish_and_expect(&rig, "+a+b+c*-c-b-a=!c!b!a");
}

static void test_a_stage_that_answers_is_left_too(void **state)
{
    static const char *const traces[] = {"+a-a=!a", "+a+b-b-a=!b!a", "+a+b+c-c-b-a=!c!b!a"};

    for (size_t i = 0; i < 3; i++) {
        struct rig rig;
        rig_init(&rig);
        rig.enter[i] = ANSWER;
        run(&rig);
        assert_int_equal(rig.x.response.status, 218);
        finish_and_expect(&rig, traces[i]);
    }
}

static void test_every_step_may_wait(void **state)
{
    struct rig rig;

    rig_init(&rig);
    for (size_t i = 0; i < 3; i++)
        rig.enter[i] = rig.leave[i] = WAIT;
    rig.handle = WAIT;
    run(&rig);
    assert_int_equal(rig.x.response.status, 200);
    assert_int_equal(rig.payloads_made, 7);
    assert_int_equal(rig.payloads_freed, 0); /* payloads live as long as the exchange */
    finish_and_expect(&rig, "+a(a)+b(b)+c(c)*(*)-c(c)-b(b)-a(a)=!c!b!a");
}

static void test_a_step_may_wait_and_then_answer_or_wait_again(void **state)
{
    struct rig rig;

    rig_init(&rig);
    rig.enter[0] = WAIT_TWICE;
    rig.enter[1] = WAIT_THEN_ANSWER;
    run(&rig);
    assert_int_equal(rig.x.response.status, 299);
    finish_and_expect(&rig, "+a(a(a)+b(b)-b-a=!b!a");
}

static void test_leave_may_replace_the_response(void **state)
{
    struct rig rig;

    rig_init(&rig);
    rig.leave[1] = FAIL;
    rig.leave[0] = WAIT_THEN_ANSWER;
    chain_start(&rig.x);
    assert_int_equal(rig.x.response.status, 503);
    assert_string_equal(kit_response_header(&rig.x, "Retry-After"), "7");
    work_done(&rig);
    assert_int_equal(rig.x.response.status, 299);
    assert_null(kit_response_header(&rig.x, "Retry-After"));
    assert_int_equal(rig.answers, 1);
    finish_and_expect(&rig, "+a+b+c*-c-b-a(a)=!c!b!a");
}

static void test_a_ticket_without_a_worker_resumes_nothing(void **state)
{
    struct rig rig;

    rig_init(&rig);
    rig.handle = WAIT_IN_VAIN;
    rig.leave[2] = WAIT_IN_VAIN;
    chain_start(&rig.x);
    assert_int_equal(rig.x.response.status, 503);
    assert_int_equal(rig.answers, 1);
    inbox_drain(rig.inbox);
    assert_int_equal(rig.payloads_freed, 2);
    finish_and_expect(&rig, "+a+b+c*-c-b-a=!c!b!a");
}

static void test_lies_become_a_500_and_hang_nobody(void **state)
{
    static const enum step lies[] = {PASS, LIE_WAIT, LIE_ANSWER};

    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct rig rig;
        rig_init(&rig);
        rig.handle = lies[i];
        run(&rig);
        assert_int_equal(rig.x.response.status, 500);
        assert_int_equal(rig.x.fault.kind, FAULT_INTERNAL);
        assert_int_equal(rig.answers, 1);
        finish_and_expect(&rig, "+a+b+c*-c-b-a=!c!b!a");
    }
    for (size_t i = 1; i < ARRAY_LEN(lies); i++) {
        struct rig rig;
        rig_init(&rig);
        rig.enter[1] = lies[i];
        run(&rig);
        assert_int_equal(rig.x.response.status, 500);
        finish_and_expect(&rig, "+a+b-b-a=!b!a");
    }
    struct rig rig;
    rig_init(&rig);
    rig.leave[1] = LIE_WAIT;
    run(&rig);
    assert_int_equal(rig.x.response.status, 500);
    finish_and_expect(&rig, "+a+b+c*-c-b-a=!c!b!a");
}

/* The client goes away at each of the seven points where the exchange waits; the work may end before, after or never seen. */
static void abort_at(unsigned waits, bool work_ends_first)
{
    static const char *const traces[] = {
        "+a!a",
        "+a(a)+b!b!a",
        "+a(a)+b(b)+c!c!b!a",
        "+a(a)+b(b)+c(c)*!c!b!a",
        "+a(a)+b(b)+c(c)*(*)-c!c!b!a",
        "+a(a)+b(b)+c(c)*(*)-c(c)-b!c!b!a",
        "+a(a)+b(b)+c(c)*(*)-c(c)-b(b)-a!c!b!a",
    };
    struct rig rig;

    rig_init(&rig);
    for (size_t i = 0; i < 3; i++)
        rig.enter[i] = rig.leave[i] = WAIT;
    rig.handle = WAIT;
    chain_start(&rig.x);
    for (unsigned i = 0; i < waits; i++)
        work_done(&rig);
    if (work_ends_first) /* posted, but not delivered */
        ticket_complete(give(rig.ticket));
    chain_finish(&rig.x);
    assert_int_equal(rig.answers, 0);
    assert_int_not_equal(rig.x.phase, PHASE_SENT);
    memset(&rig.x, 0xa5, sizeof(rig.x)); /* whoever still touches it is caught */
    assert_string_equal(rig.trace.data, traces[waits]);
    rig_done(&rig);
}

static void test_an_abort_while_waiting(void **state)
{
    for (unsigned waits = 0; waits < 7; waits++) {
        abort_at(waits, false);
        abort_at(waits, true);
    }
}

static void test_the_server_may_finish_inside_answer(void **state)
{
    struct rig rig;

    rig_init(&rig);
    rig.finish_in_answer = true;
    rig.handle = WAIT;
    run(&rig);
    assert_string_equal(rig.trace.data, "+a+b+c*(*)-c-b-a=!c!b!a");
    rig_done(&rig);
}

static void test_unknown_paths_pass_the_stages(void **state)
{
    struct rig rig;

    rig_init(&rig);
    rig.x.path = SPAN("/y");
    run(&rig);
    assert_int_equal(rig.x.response.status, 404);
    finish_and_expect(&rig, "+a+b+c-c-b-a=!c!b!a");
}

static void test_stages_may_leave_out_steps(void **state)
{
    static const struct stage stages[] = {{"none", NULL, NULL, NULL}, {"b", b_enter, NULL, NULL}};
    static const struct chain chain = {stages, 2, {ROUTES, 1}};
    struct rig rig;

    rig_init(&rig);
    rig.x.chain = &chain;
    run(&rig);
    assert_int_equal(rig.x.response.status, 218);
    finish_and_expect(&rig, "+b*=");
}

/* ---- what an exchange owns ---- */

static void clean_1(void *arg)
{
    text_append_str(arg, "c1");
}

static void clean_2(void *arg)
{
    text_append_str(arg, "c2");
}

struct counted_source {
    struct body_source base;
    struct text *trace;
};

static void source_free(struct body_source *source)
{
    struct counted_source *s = container_of(source, struct counted_source, base);

    text_append_str(s->trace, "s");
    free(s);
}

static void test_everything_owned_is_freed_in_order(void **state)
{
    struct rig rig;
    struct identity *identity = xcalloc(1, sizeof(*identity));
    struct counted_source *source = xcalloc(1, sizeof(*source));

    identity->references = 2;
    rig_init(&rig);
    exchange_cleanup(&rig.x, clean_1, &rig.trace);
    exchange_cleanup(&rig.x, clean_2, &rig.trace);
    rig.x.identity = identity;
    run(&rig);
    source->base.free = source_free;
    source->trace = &rig.trace;
    exchange_answer_source(&rig.x, 200, "text/plain", &source->base, 5);
    chain_finish(&rig.x);
    assert_string_equal(rig.trace.data, "+a+b+c*-c-b-a=!c!b!asc2c1");
    assert_int_equal(identity->references, 1);
    assert_null(rig.x.identity);
    identity_unref(identity);
    rig_done(&rig);
}

static void test_many_cleanups(void **state)
{
    struct rig rig;

    rig_init(&rig);
    run(&rig);
    text_clear(&rig.trace);
    for (unsigned i = 0; i < 100; i++)
        exchange_cleanup(&rig.x, clean_1, &rig.trace);
    chain_finish(&rig.x);
    assert_int_equal(rig.trace.len, strlen("!c!b!a") + 200);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_down_and_up),
        cmocka_unit_test(test_a_stage_that_answers_is_left_too),
        cmocka_unit_test(test_every_step_may_wait),
        cmocka_unit_test(test_a_step_may_wait_and_then_answer_or_wait_again),
        cmocka_unit_test(test_leave_may_replace_the_response),
        cmocka_unit_test(test_a_ticket_without_a_worker_resumes_nothing),
        cmocka_unit_test(test_lies_become_a_500_and_hang_nobody),
        cmocka_unit_test(test_an_abort_while_waiting),
        cmocka_unit_test(test_the_server_may_finish_inside_answer),
        cmocka_unit_test(test_unknown_paths_pass_the_stages),
        cmocka_unit_test(test_stages_may_leave_out_steps),
        cmocka_unit_test(test_everything_owned_is_freed_in_order),
        cmocka_unit_test(test_many_cleanups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
