/* Frames and messages: what is accepted, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/frame.h"
#include "jobs/message.h"

static void frames_come_back_as_they_were(void **state)
{
    own(text_done) struct text out = {0};
    struct frame frame;
    size_t used;

    assert_true(frame_write_message(&out, SPAN("{\"op\":\"x\"}"), NULL));
    frame_write_output(&out, 77, SPAN("hello"));
    struct span all = text_span(&out);
    for (size_t len = 0; len < FRAME_HEAD + 11; len++)
        assert_int_equal(frame_read((struct span){all.data, len}, &frame, &used), FRAME_PARTIAL);
    assert_int_equal(frame_read(all, &frame, &used), FRAME_WHOLE);
    assert_int_equal(frame.type, FRAME_MESSAGE);
    assert_true(span_is(frame.body, "{\"op\":\"x\"}"));
    struct span rest = {all.data + used, all.len - used};
    assert_int_equal(frame_read(rest, &frame, &used), FRAME_WHOLE);
    assert_int_equal(frame.type, FRAME_OUTPUT);
    assert_int_equal(frame.attempt, 77);
    assert_true(span_is(frame.body, "hello"));
    assert_int_equal(used, rest.len);
}

static void broken_frames_are_known_by_their_heads(void **state)
{
    struct frame frame;
    size_t used;

    assert_int_equal(frame_read(SPAN("\0\0\0\0"), &frame, &used), FRAME_BROKEN);
    assert_int_equal(frame_read(SPAN("\0\x10\0\x01"), &frame, &used), FRAME_BROKEN);
    assert_int_equal(frame_read(SPAN("\0\x10\0\0J"), &frame, &used), FRAME_PARTIAL);
    assert_int_equal(frame_read(SPAN("\0\0\0\x05X"), &frame, &used), FRAME_BROKEN);
    assert_int_equal(frame_read(SPAN("\0\0\0\x09L"), &frame, &used), FRAME_BROKEN);   /* no byte of output */
    assert_int_equal(frame_read(SPAN("\0\x01\0\x0aL"), &frame, &used), FRAME_BROKEN); /* too many */
    assert_int_equal(frame_read(SPAN("\0\0\0\x0aL\0\0\0\0\0\0\0\0x"), &frame, &used), FRAME_BROKEN);   /* attempt 0 */
    assert_int_equal(frame_read(SPAN("\0\0\0\x0aL\0\x40\0\0\0\0\0\0x"), &frame, &used), FRAME_BROKEN); /* above 2^53 */
}

static void a_message_too_long_is_not_written(void **state)
{
    own(freep) char *long_text = xmalloc(FRAME_MAX);
    own(text_done) struct text out = {0};
    struct fault fault = {0};

    memset(long_text, ' ', FRAME_MAX);
    assert_false(frame_write_message(&out, (struct span){long_text, FRAME_MAX}, &fault));
    assert_int_equal(fault.kind, FAULT_TOO_LARGE);
    assert_int_equal(out.len, 0);
    assert_true(frame_write_message(&out, (struct span){long_text, FRAME_MAX - 1}, &fault));
}

static bool request_ok(const char *json)
{
    struct request request = {0};
    bool ok = request_read(span_of(json), &request, NULL);

    request_done(&request);
    return ok;
}

static bool answer_ok(const char *json)
{
    struct answer answer = {0};
    bool ok = answer_read(span_of(json), &answer, NULL);

    answer_done(&answer);
    return ok;
}

#define START(more)                                                              \
    "{\"op\":\"start\",\"attempt\":1,\"job\":\"JOB_a_1\",\"nth\":1,\"root\":\"/" \
    "app\",\"timeout_ms\":0,\"grace_ms\":1," more "}"
#define NODE "{\"id\":\"D_1\",\"config_id\":\"nb\",\"storage_type\":\"pickle\",\"properties\":{},\"path\":\"/x\"}"

static void requests_are_checked(void **state)
{
    assert_true(request_ok("{\"op\":\"cancel\",\"attempt\":9007199254740992}"));
    assert_false(request_ok("{\"op\":\"cancel\",\"attempt\":9007199254740993}"));
    assert_false(request_ok("{\"op\":\"cancel\",\"attempt\":0}"));
    assert_false(request_ok("{\"op\":\"cancel\",\"attempt\":1.5}"));
    assert_false(request_ok("{\"op\":\"cancel\",\"attempt\":\"1\"}"));
    assert_false(request_ok("{\"op\":\"cancel\"}"));
    assert_false(request_ok("{\"op\":\"ended\"}"));
    assert_false(request_ok("{}"));
    assert_false(request_ok("[]"));
    assert_false(request_ok(""));
    assert_true(request_ok(START("\"kind\":\"command\",\"argv\":[\"a\"],\"environment\":{\"A\":\"b\"},\"inputs\":[" NODE
                                 "],\"outputs\":[]")));
    assert_true(
        request_ok(START("\"kind\":\"python\",\"module\":\"m\",\"function\":\"f\",\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(START("\"kind\":\"python\",\"module\":\"m\",\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(START("\"kind\":\"command\",\"argv\":[],\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(START("\"kind\":\"command\",\"argv\":[\"\"],\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(START("\"kind\":\"command\",\"argv\":[1],\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(
        START("\"kind\":\"command\",\"argv\":[\"a\"],\"environment\":{\"A=\":\"b\"},\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(START("\"kind\":\"other\",\"argv\":[\"a\"],\"inputs\":[],\"outputs\":[]")));
    assert_false(request_ok(START("\"kind\":\"command\",\"argv\":[\"a\"],\"inputs\":[{}],\"outputs\":[]")));
    assert_false(
        request_ok(START("\"kind\":\"command\",\"argv\":[\"a\"],\"work\":\"relative\",\"inputs\":[],\"outputs\":[]")));
    /* a job's id becomes a file's name */
    assert_false(request_ok(
        "{\"op\":\"start\",\"attempt\":1,\"job\":\"../x\",\"nth\":1,\"root\":\"/app\",\"timeout_ms\":0,\"grace_ms\":1,"
        "\"kind\":\"command\",\"argv\":[\"a\"],\"inputs\":[],\"outputs\":[]}"));
}

static void answers_are_checked(void **state)
{
    assert_true(answer_ok(
        "{\"op\":\"ended\",\"attempt\":1,\"result\":\"failed\",\"exit_code\":3,\"signal\":null,\"unknown\":1}"));
    assert_false(answer_ok("{\"op\":\"ended\",\"attempt\":1,\"result\":\"failed\",\"exit_code\":256}"));
    assert_false(answer_ok("{\"op\":\"ended\",\"attempt\":1,\"result\":\"failed\",\"exit_code\":-1}"));
    assert_false(answer_ok("{\"op\":\"ended\",\"attempt\":1,\"result\":\"fine\"}"));
    assert_false(answer_ok("{\"op\":\"ended\",\"attempt\":1,\"result\":\"completed\",\"outputs\":[1]}"));
    assert_false(answer_ok("{\"op\":\"ended\",\"attempt\":1,\"result\":\"failed\",\"error\":{}}"));
    assert_true(answer_ok("{\"op\":\"loaded\",\"request\":1,\"ok\":false,\"errors\":[{\"message\":\"m\"}]}"));
    assert_false(answer_ok("{\"op\":\"loaded\",\"request\":1,\"ok\":false,\"errors\":[{\"message\":1}]}"));
    assert_false(answer_ok("{\"op\":\"hello\",\"protocol\":1,\"uid\":1,\"pid\":1,\"work\":\"relative\"}"));
    assert_false(answer_ok("{\"op\":\"cancel\",\"attempt\":1}"));
}

static void an_end_says_what_it_has(void **state)
{
    struct answer answer;

    assert_true(answer_read(
        SPAN("{\"op\":\"ended\",\"attempt\":5,\"result\":\"failed\",\"exit_code\":0,\"signal\":null,\"error\":\"e\"}"),
        &answer, NULL));
    assert_int_equal(answer.op, ANSWER_ENDED);
    assert_int_equal(answer.result, ATTEMPT_FAILED);
    assert_true(answer.exited);
    assert_false(answer.signaled);
    assert_string_equal(answer.error, "e");
    assert_null(answer.stacktrace);
    answer_done(&answer);
}

static void lines_are_made_one(void **state)
{
    own(text_done) struct text line = {0};
    char long_text[3000];

    message_one_line(&line, "a\nb\tc\x7f");
    assert_string_equal(line.data, "a b c ");
    text_clear(&line);
    for (size_t i = 0; i + 1 < sizeof long_text; i += 2)
        memcpy(long_text + i, "\xc3\xa9", 2);
    long_text[sizeof long_text - 2] = '\0';
    message_one_line(&line, long_text);
    assert_true(line.len <= 1000);
    assert_true(utf8_valid(line.data, line.len));
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(frames_come_back_as_they_were),
        cmocka_unit_test(broken_frames_are_known_by_their_heads),
        cmocka_unit_test(a_message_too_long_is_not_written),
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(answers_are_checked),
        cmocka_unit_test(an_end_says_what_it_has),
        cmocka_unit_test(lines_are_made_one),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
