/* HTTP/2, on listeners that require a client certificate. */
#include <sys/mman.h>

#include "unit/server_tls_fixture.h"

static void *stop_server(void *server)
{
    server_stop(server);
    return NULL;
}

/* In libh2o's place: nobody shall be able to make it parse those. */
static atomic_int digests_loaded;

void h2o_cache_digests_load_header(void **digests, const char *value, size_t len);
void h2o_cache_digests_load_header(void **digests, const char *value, size_t len)
{
    digests_loaded++;
}

enum {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_WINDOW_UPDATE = 8,
    END_STREAM = 1,
    END_HEADERS = 4,
    PADDED = 8,
    PRIORITY = 32
};

static void frame_send(struct client *c, int type, int flags, unsigned stream, const void *payload, size_t len)
{
    unsigned char frame[16384 + 9] = {
        0, (unsigned char)(len >> 8), (unsigned char)len, (unsigned char)type, (unsigned char)flags, 0, 0,
        0, (unsigned char)stream};

    memcpy(frame + 9, payload, len);
    SSL_write(c->ssl, frame, (int)(9 + len));
}

static bool read_exactly(struct client *c, unsigned char *out, size_t len)
{
    for (size_t at = 0; at < len;) {
        int n = SSL_read(c->ssl, out + at, (int)(len - at));
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Collects DATA of a stream until it ends; returns the type of the frame that ended it, -1 for the connection's end. */
static int stream_receive(struct client *c, unsigned stream, struct text *body)
{
    unsigned char head[9], payload[1 << 15];

    text_append(body, "", 0);
    while (read_exactly(c, head, 9)) {
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (len > sizeof(payload) || !read_exactly(c, payload, len))
            return -1;
        if (head[8] != stream)
            continue;
        if (head[3] == FRAME_DATA)
            text_append(body, payload, len);
        if (head[3] == FRAME_RST_STREAM || (head[4] & END_STREAM))
            return head[3];
    }
    return -1;
}

static void http2_open(struct client *c, unsigned port)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    assert_true(client_open(c, port,
                            (struct client_options){.alpn = (const unsigned char *)"\x02h2\x08http/1.1",
                                                    .certificate = "client-alice.pem"}));
    SSL_write(c->ssl, preface, sizeof(preface) - 1);
    frame_send(c, FRAME_SETTINGS, 0, 0, "", 0);
    frame_send(c, FRAME_WINDOW_UPDATE, 0, 0, "\x00\x08\x00\x00", 4);
}

/* GET path, with HPACK literals that need no table: RFC 7541 §6.2.2. */
static void http2_get(struct client *c, unsigned stream, const char *path, const char *name, const char *value)
{
    own(text_done) struct text block = {0};

    text_append_str(&block, "\x82\x87\x01\x09localhost\x04");
    text_append_char(&block, (char)strlen(path));
    text_append_str(&block, path);
    if (name) {
        text_append(&block, "\x00", 1);
        text_append_char(&block, (char)strlen(name));
        text_append_str(&block, name);
        text_append_char(&block, (char)strlen(value));
        text_append_str(&block, value);
    }
    frame_send(c, FRAME_HEADERS, END_STREAM | END_HEADERS, stream, block.data, block.len);
}

static void http2_is_spoken_to_certified_clients(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    own(text_done) struct text hello = {0}, stream = {0}, failed = {0}, bad = {0}, waited = {0};
    struct client c;

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/two?q=1", "x-mine", "yes");
    assert_int_equal(stream_receive(&c, 1, &hello), FRAME_DATA);
    assert_contains(&hello, "GET|/two|q=1||127.0.0.1|secure|x-mine=yes;host=localhost;");
    http2_get(&c, 3, "/stream-known", NULL, NULL);
    http2_get(&c, 5, "/stream-failed", NULL, NULL);
    assert_int_equal(stream_receive(&c, 5, &failed), FRAME_RST_STREAM);
    client_close(&c);

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/stream", NULL, NULL);
    /* The stream's window is 65535 bytes: what is beyond it has to wait, and the source with it. */
    eventually(stub.live_sources == 1);
    frame_send(&c, FRAME_WINDOW_UPDATE, 0, 1, "\x00\x04\x00\x00", 4);
    assert_int_equal(stream_receive(&c, 1, &stream), FRAME_DATA);
    assert_int_equal(stream.len, 160000);
    http2_get(&c, 3, "bad path", NULL, NULL);
    stream_receive(&c, 3, &bad);
    assert_contains(&bad, "\"status\":400");
    http2_get(&c, 5, "/wait", NULL, NULL);
    eventually(waiting() == 1);
    release_tickets();
    assert_int_equal(stream_receive(&c, 5, &waited), FRAME_DATA);
    assert_string_equal(waited.data, "waited");
    client_close(&c);
    server_down(server);
}

static void http2_streams_may_be_reset_while_they_wait(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    int finished = stub.finished;
    struct client c;

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/wait", NULL, NULL);
    http2_get(&c, 3, "/wait", NULL, NULL);
    eventually(waiting() == 2);
    frame_send(&c, FRAME_RST_STREAM, 0, 1, "\0\0\0\x08", 4);
    eventually(stub.finished == finished + 1);
    client_close(&c); /* and the other with its connection */
    eventually(stub.finished == finished + 2);
    release_tickets();
    server_down(server);
}

/* Each reset costs the client a few bytes, and us a request: there is a budget of them. */
static void http2_resets_have_a_budget(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    int finished = stub.finished;
    uint32_t stream = 1;
    struct client c;

    options.http2_resets_max = 20;
    options.loops = 1;
    struct server *server = server_up(&options);
    http2_open(&c, server_port(server, 0));
    for (; counters(server).refusals[REFUSED_RESETS] == 0 && stream < 2000; stream += 2) {
        http2_get(&c, stream, "/wait", NULL, NULL);
        frame_send(&c, FRAME_RST_STREAM, 0, stream, "\0\0\0\x08", 4);
        eventually(stub.finished > finished + (int)(stream / 2) || counters(server).refusals[REFUSED_RESETS] > 0 ||
                   counters(server).connections_open == 0);
        release_tickets();
    }
    assert_int_equal(stream, 2 * 21 + 1); /* the budget, and one beyond it */
    eventually(counters(server).connections_open == 0);
    client_close(&c);
    release_tickets();
    server_down(server);
}

/* A client that never opens its window holds a stream, and what was made for it. */
static void http2_readers_are_waited_for_only_so_long(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct client c;

    options.write_timeout_ms = 300;
    struct server *server = server_up(&options);
    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/stream-endless", NULL, NULL);
    eventually(stub.live_sources == 1);
    eventually(stub.live_sources == 0 && counters(server).connections_open == 0);
    assert_int_equal(counters(server).refusals[REFUSED_SLOW_READER], 1);
    client_close(&c);
    server_down(server);
}

#define PLAIN_GET "\x82\x87\x01\x09localhost\x84"

/* A field that is in the table costs a byte each time it is named again. */
static void many_fields(struct client *c, unsigned stream, size_t count)
{
    own(text_done) struct text block = {0};

    text_append_str(&block, PLAIN_GET "\x40\x01"
                                      "a\x01"
                                      "b");
    for (size_t i = 1; i < count; i++)
        text_append_char(&block, '\xbe');
    frame_send(c, FRAME_HEADERS, END_STREAM | END_HEADERS, stream, block.data, block.len);
}

static void http2_fields_are_counted_before_they_are_made(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    own(text_done) struct text some = {0}, slip = {0}, none = {0};
    struct client c;

    http2_open(&c, server_port(server, 0));
    many_fields(&c, 1, 63); /* and the authority */
    assert_int_equal(stream_receive(&c, 1, &some), FRAME_DATA);
    assert_contains(&some, "|a=b;a=b;");
    many_fields(&c, 3, 90);
    stream_receive(&c, 3, &slip);
    assert_contains(&slip, "more than 64 header fields");
    assert_int_equal(counters(server).refusals[REFUSED_PARSER], 1);
    many_fields(&c, 5, 16000);
    assert_int_equal(stream_receive(&c, 5, &none), -1);
    assert_int_equal(none.len, 0);
    assert_int_equal(counters(server).refusals[REFUSED_PARSER], 2);
    eventually(counters(server).connections_open == 0);
    client_close(&c);
    server_down(server);
}

static void http2_heads_end_where_they_begin(void **state)
{
    static const struct {
        int flags;
        const char *payload;
        size_t len;
        bool good;
    } cases[] = {
#define CASE(flags, text, good) {flags, text, sizeof(text) - 1, good}
        CASE(END_HEADERS, PLAIN_GET, true),
        CASE(0, PLAIN_GET, false),
        CASE(END_HEADERS | PADDED, "\x03" PLAIN_GET "\0\0\0", true),
        CASE(END_HEADERS | PADDED, "\x00" PLAIN_GET, true),
        CASE(END_HEADERS | PADDED, "\xff" PLAIN_GET, false),
        CASE(END_HEADERS | PADDED, "", false),
        CASE(END_HEADERS | PADDED, "\x01", false),
        CASE(END_HEADERS | PRIORITY, "\0\0\0\0\x0f" PLAIN_GET, true),
        CASE(END_HEADERS | PRIORITY, "\x80\0\0\x05\xff" PLAIN_GET, true),
        CASE(END_HEADERS | PRIORITY, "\0\0\0\0", false),
        CASE(END_HEADERS | PRIORITY | PADDED, "\x02\0\0\0\0\x0f" PLAIN_GET "\0\0", true),
        CASE(END_HEADERS | PRIORITY | PADDED, "\x03\0\0\0\0\x0f\0\0", false),
    };
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(text_done) struct text answer = {0};
        struct client c;
        http2_open(&c, server_port(server, 0));
        frame_send(&c, FRAME_HEADERS, END_STREAM | cases[i].flags, 1, cases[i].payload, cases[i].len);
        if (stream_receive(&c, 1, &answer) != (cases[i].good ? FRAME_DATA : -1))
            fail_msg("case %zu: %s", i, answer.data);
        client_close(&c);
    }
    server_down(server);
}

/* ---- bodies ---- */

#define PLAIN_POST "\x83\x87\x01\x09localhost\x84"

static void http2_post(struct client *c, unsigned stream)
{
    frame_send(c, FRAME_HEADERS, END_HEADERS, stream, PLAIN_POST, sizeof(PLAIN_POST) - 1);
}

static void http2_bodies_have_their_room_from_the_head_on(void **state)
{
    enum { FIT = 16 };
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options); /* its budget is for so many */
    own(text_done) struct text refused = {0}, whole = {0}, empty = {0}, again = {0};
    struct client c;

    http2_open(&c, server_port(server, 0));
    for (unsigned i = 0; i < FIT; i++)
        http2_post(&c, 2 * i + 1);
    eventually(counters(server).body_bytes == (uint64_t)FIT * 2 * BODY_MAX);
    http2_post(&c, 2 * FIT + 1);
    assert_int_equal(stream_receive(&c, 2 * FIT + 1, &refused), FRAME_DATA);
    assert_contains(&refused, "\"status\":503");
    assert_int_equal(counters(server).refusals[REFUSED_MEMORY], 1);
    assert_int_equal(counters(server).refusals[REFUSED_PARSER], 0);

    frame_send(&c, FRAME_DATA, END_STREAM, 1, "hello", 5);
    assert_int_equal(stream_receive(&c, 1, &whole), FRAME_DATA);
    assert_contains(&whole, "POST|/||hello|");
    eventually(counters(server).body_bytes == (uint64_t)(FIT - 1) * 2 * BODY_MAX);
    frame_send(&c, FRAME_DATA, END_STREAM, 3, "", 0);
    assert_int_equal(stream_receive(&c, 3, &empty), FRAME_DATA);
    frame_send(&c, FRAME_RST_STREAM, 0, 5, "\0\0\0\x08", 4);
    eventually(counters(server).body_bytes == (uint64_t)(FIT - 3) * 2 * BODY_MAX);
    http2_post(&c, 101);
    frame_send(&c, FRAME_DATA, END_STREAM, 101, "again", 5);
    assert_int_equal(stream_receive(&c, 101, &again), FRAME_DATA);
    assert_contains(&again, "|again|");
    client_close(&c);
    eventually(counters(server).body_bytes == 0);
    server_down(server);
}

static void http2_bodies_share_what_their_address_has(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    own(text_done) struct text refused = {0}, whole = {0};
    struct client c;

    options.bodies_per_address_max = 0; /* an eighth: two bodies */
    struct server *server = server_up(&options);
    http2_open(&c, server_port(server, 0));
    http2_post(&c, 1);
    http2_post(&c, 3);
    eventually(counters(server).body_bytes == 2 * 2 * BODY_MAX);
    http2_post(&c, 5);
    assert_int_equal(stream_receive(&c, 5, &refused), FRAME_DATA);
    assert_contains(&refused, "\"status\":429");
    assert_int_equal(counters(server).refusals[REFUSED_BODIES], 1);
    frame_send(&c, FRAME_DATA, END_STREAM, 1, "hello", 5);
    assert_int_equal(stream_receive(&c, 1, &whole), FRAME_DATA);
    assert_contains(&whole, "POST|/||hello|");
    client_close(&c);
    eventually(counters(server).body_bytes == 0);
    server_down(server);
}

/* Frames of other kinds keep the connection alive, but not the request. */
static void http2_bodies_are_waited_for_only_so_long(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct client c;

    options.body_timeout_ms = 300;
    struct server *server = server_up(&options);
    http2_open(&c, server_port(server, 0));
    http2_post(&c, 1);
    for (int i = 0; i < 1000 && counters(server).refusals[REFUSED_SLOW_BODY] == 0; i++) {
        frame_send(&c, FRAME_DATA, 0, 1, "x", 1);
        frame_send(&c, FRAME_PING, 0, 0, "12345678", 8);
        usleep(10000);
    }
    assert_int_equal(counters(server).refusals[REFUSED_SLOW_BODY], 1);
    eventually(counters(server).connections_open == 0 && counters(server).body_bytes == 0);
    client_close(&c);
    server_down(server);
}

static void http2_refusals_are_to_be_read_in_time(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct client c;

    options.write_timeout_ms = 300;
    struct server *server = server_up(&options);
    http2_open(&c, server_port(server, 0));
    frame_send(&c, FRAME_SETTINGS, 0, 0, "\0\x04\0\0\0\0", 6); /* a window of nothing */
    http2_get(&c, 1, "bad path", NULL, NULL);
    for (int i = 0; i < 1000 && counters(server).connections_open > 0; i++) {
        frame_send(&c, FRAME_PING, 0, 0, "12345678", 8);
        usleep(10000);
    }
    assert_int_equal(counters(server).connections_open, 0);
    assert_int_equal(counters(server).refusals[REFUSED_SLOW_READER], 1);
    client_close(&c);
    server_down(server);
}

/* What stands behind a body was not there when a proxy, or we, looked at the head. */
static void http2_trailers_are_dropped(void **state)
{
    static const char trailers[] = "\x00\x0fx-forwarded-for\x09"
                                   "192.0.2.7\x00\x06x-mine\x02no";
    const char *proxies[] = {"127.0.0.1"};
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    own(text_done) struct text answer = {0};
    struct client c;

    options.trusted_proxies = proxies;
    options.trusted_proxy_count = 1;
    struct server *server = server_up(&options);
    http2_open(&c, server_port(server, 0));
    http2_post(&c, 1);
    frame_send(&c, FRAME_DATA, 0, 1, "hello", 5);
    frame_send(&c, FRAME_HEADERS, END_HEADERS | END_STREAM, 1, trailers, sizeof(trailers) - 1);
    assert_int_equal(stream_receive(&c, 1, &answer), FRAME_DATA);
    assert_contains(&answer, "|hello|127.0.0.1|");
    assert_lacks(&answer, "x-mine");
    client_close(&c);
    server_down(server);
}

/* A hundred references to one of them would be megabytes. */
static void http2_cache_digests_are_not_read(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};
    struct client c;

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/two", "cache-digest", "AfdA");
    assert_int_equal(stream_receive(&c, 1, &answer), FRAME_DATA);
    assert_contains(&answer, "cache-digest=AfdA");
    assert_int_equal(digests_loaded, 0);
    client_close(&c);
    server_down(server);
}

/* Extensions' frames (RFC 9113 §5.5), such as browsers send at random: libh2o would write a line to stderr for each. */
static void http2_unknown_frames_are_passed_over_in_silence(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    int before = dup(STDERR_FILENO), caught = memfd_create("stderr", MFD_CLOEXEC);
    own(text_done) struct text answer = {0};
    struct client c;

    http2_open(&c, server_port(server, 0));
    dup2(caught, STDERR_FILENO);
    frame_send(&c, 0x2a, 0xff, 7, "anything", 8);
    frame_send(&c, 0x0a, 0, 0, "", 0);
    http2_get(&c, 1, "/two", NULL, NULL);
    int end = stream_receive(&c, 1, &answer);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(end, FRAME_DATA);
    assert_int_equal(lseek(caught, 0, SEEK_END), 0);
    close(caught);
    client_close(&c);
    server_down(server);
}

static void http2_drains(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    own(text_done) struct text waited = {0};
    struct client idle, busy;
    pthread_t thread;

    http2_open(&idle, server_port(server, 0));
    http2_open(&busy, server_port(server, 0));
    http2_get(&busy, 1, "/wait", NULL, NULL);
    eventually(waiting() == 1);
    pthread_create(&thread, NULL, stop_server, server);
    assert_int_equal(stream_receive(&idle, 1, &waited), -1);
    release_tickets();
    assert_int_equal(stream_receive(&busy, 1, &waited), FRAME_DATA);
    assert_string_equal(waited.data, "waited");
    pthread_join(thread, NULL);
    client_close(&idle);
    client_close(&busy);
    server_down(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_is_spoken_to_certified_clients),
        cmocka_unit_test(http2_streams_may_be_reset_while_they_wait),
        cmocka_unit_test(http2_resets_have_a_budget),
        cmocka_unit_test(http2_readers_are_waited_for_only_so_long),
        cmocka_unit_test(http2_fields_are_counted_before_they_are_made),
        cmocka_unit_test(http2_heads_end_where_they_begin),
        cmocka_unit_test(http2_bodies_have_their_room_from_the_head_on),
        cmocka_unit_test(http2_bodies_share_what_their_address_has),
        cmocka_unit_test(http2_bodies_are_waited_for_only_so_long),
        cmocka_unit_test(http2_refusals_are_to_be_read_in_time),
        cmocka_unit_test(http2_trailers_are_dropped),
        cmocka_unit_test(http2_cache_digests_are_not_read),
        cmocka_unit_test(http2_unknown_frames_are_passed_over_in_silence),
        cmocka_unit_test(http2_drains),
    };
    signal(SIGPIPE, SIG_IGN); /* SSL_write of the clients */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
