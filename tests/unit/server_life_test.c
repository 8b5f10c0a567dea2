/* A server's life: starting (or not), limits, draining, ending. */
#include <sys/stat.h>

#include "bailiff/file.h"
#include "unit/server_fixture.h"

#define HOST "Host: localhost\r\n"

static void expect_no_start(const struct server_options *options, enum fault_kind kind, const char *what)
{
    struct server *server = NULL;
    struct fault fault = {0};

    assert_false(server_start(options, &server, &fault));
    assert_null(server);
    assert_int_equal(fault.kind, kind);
    if (!strstr(fault.message, what))
        fail_msg("\"%s\" is not in: %s", what, fault.message);
}

static void a_port_in_use_is_named(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    struct server *first = server_up(&options);
    own(freep) char *name = xprintf("test:1: 127.0.0.1:%u is in use", server_port(first, 0));

    listener.port = server_port(first, 0);
    expect_no_start(&options, FAULT_CONFLICT, name);
    /* Free again afterwards, connections in TIME_WAIT or not. */
    own(text_done) struct text answer = {0};
    talk(listener.port, "GET /close HTTP/1.1\r\n" HOST "\r\n", &answer);
    server_down(first);
    struct server *second = server_up(&options);
    assert_int_equal(server_port(second, 0), listener.port);
    server_down(second);
}

static void strangers_get_no_plain_http(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);

    listener.address = "0.0.0.0";
    expect_no_start(&options, FAULT_INVALID, "would serve without TLS to other machines");
    listener.address = "::";
    expect_no_start(&options, FAULT_INVALID, "would serve without TLS to other machines");
    listener.address = "localhost";
    expect_no_start(&options, FAULT_INVALID, "neither an IP address nor an absolute path");
}

static struct bench *bench_new_fails(const struct services *services, struct fault *fault)
{
    static atomic_int calls;

    if (calls++ == 0)
        return bench_new(services, fault);
    fault_set(fault, FAULT_INVALID, "No bench.");
    return NULL;
}

static void a_loop_that_cannot_start_undoes_all(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    struct server *server = server_up(&options);

    listener.port = server_port(server, 0); /* known to be free afterwards */
    server_down(server);
    options.bench_new = bench_new_fails;
    expect_no_start(&options, FAULT_INVALID, "No bench.");
    assert_int_equal(stub.benches, 0);
    options.bench_new = bench_new;
    server_down(server_up(&options));
}

static void connections_are_limited(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text answer = {0}, refused = {0}, after = {0};
    int fds[4];

    options.connections_max = ARRAY_LEN(fds);
    struct server *server = server_up(&options);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = connect_to(server_port(server, 0));
    eventually(counters(server).connections_open == ARRAY_LEN(fds));
    talk(server_port(server, 0), "GET / HTTP/1.1\r\n" HOST "\r\n", &refused);
    assert_int_equal(refused.len, 0);
    assert_int_equal(counters(server).refusals[REFUSED_CONNECTIONS], 1);
    /* Those that are there are served, and a place that is left is given again. */
    send_text(fds[0], "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    receive_all(fds[0], &answer);
    assert_contains(&answer, "HTTP/1.1 200 OK");
    eventually(counters(server).connections_open == ARRAY_LEN(fds) - 1);
    talk(server_port(server, 0), "GET /close HTTP/1.1\r\n" HOST "\r\n", &after);
    assert_contains(&after, "HTTP/1.1 200 OK");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    server_down(server);
}

/* Each time is of its own: the others are far longer than the test's patience. */
static void idle_slow_heads_and_slow_bodies_are_cut(void **state)
{
    enum { SHORT_MS = 200 };
    static const struct {
        const char *part;
        size_t timeout; /* the one that must strike */
        int refusal;
    } cases[] = {
        {"", offsetof(struct server_options, idle_timeout_ms), -1},
        {"GET / HT", offsetof(struct server_options, head_timeout_ms), REFUSED_SLOW_HEAD},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe", offsetof(struct server_options, body_timeout_ms),
         REFUSED_SLOW_BODY},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe",
         offsetof(struct server_options, body_timeout_ms), REFUSED_SLOW_BODY},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listener_options listener;
        struct server_options options = options_plain(&listener);
        own(text_done) struct text answer = {0};
        *(unsigned *)((char *)&options + cases[i].timeout) = SHORT_MS;
        struct server *server = server_up(&options);
        talk(server_port(server, 0), cases[i].part, &answer); /* ends, or the test does not */
        assert_int_equal(answer.len, 0);
        eventually(counters(server).connections_open == 0);
        for (int r = 0; r < SERVER_REFUSALS; r++)
            assert_int_equal(counters(server).refusals[r], r == cases[i].refusal);
        assert_int_equal(counters(server).body_bytes, 0);
        server_down(server);
    }
}

/* The time of a head begins with its first byte, that of the next one after the answer: bytes that trickle in gain nothing. */
static void a_trickled_head_is_cut_and_a_keep_alive_connection_is_not(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text answer = {0};

    options.head_timeout_ms = 300;
    struct server *server = server_up(&options);
    int honest = connect_to(server_port(server, 0)), trickle = connect_to(server_port(server, 0));
    char c = 0;
    for (int i = 0; counters(server).refusals[REFUSED_SLOW_HEAD] == 0; i++) {
        if (i > 400)
            fail_msg("a head of %d bytes was waited for", i);
        send_text(trickle, i == 0 ? "G" : "E");
        usleep(20000);
        if (i % 10 == 0) {
            text_clear(&answer);
            send_text(honest, "GET / HTTP/1.1\r\n" HOST "\r\n");
            receive_until(honest, &answer, "host=localhost;");
        }
    }
    assert_true(recv(trickle, &c, 1, 0) <= 0);
    close(trickle);
    close(honest);
    server_down(server);
}

static void clients_that_read_nothing_are_cut(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);

    options.write_timeout_ms = 300;
    struct server *server = server_up(&options);
    int fd = connect_to(server_port(server, 0)), started = stub.started;
    send_text(fd, "GET /stream-endless HTTP/1.1\r\n" HOST "\r\n");
    eventually(stub.started == started + 1);
    eventually(stub.live_sources == 0 && counters(server).connections_open == 0);
    close(fd);
    server_down(server);
}

/* ---- draining ---- */

static void *stop_server(void *server)
{
    server_stop(server);
    return NULL;
}

static void requests_in_flight_are_answered(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    own(text_done) struct text answer = {0}, idle = {0}, half = {0};
    int waits = connect_to(port), rests = connect_to(port), speaks = connect_to(port);
    pthread_t thread;

    send_text(waits, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    send_text(rests, "GET / HTTP/1.1\r\n" HOST "\r\n");
    receive_until(rests, &idle, "host=localhost;");
    send_text(speaks, "POST /half HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    eventually(waiting() == 1 && counters(server).connections_open == 3);
    usleep(50000); /* let the half request be read; the outcome is the same if it was not */
    pthread_create(&thread, NULL, stop_server, server);
    assert_true(receive_all(rests, &idle)); /* the idle connection goes at once: the others are still there */
    assert_int_equal(waiting(), 1);
    send_text(speaks, "b");
    assert_true(receive_all(speaks, &half));
    assert_contains(&half, "POST|/half||ab|");
    assert_contains(&half, "Connection: close\r\n");
    release_tickets();
    assert_true(receive_all(waits, &answer));
    assert_contains(&answer, "Connection: close\r\n");
    assert_string_equal(body_of(&answer), "waited");
    pthread_join(thread, NULL);
    assert_int_equal(counters(server).connections_open, 0);
    close(waits);
    close(rests);
    close(speaks);
    server_down(server);
}

static void what_does_not_end_is_cut(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    static const char *const paths[] = {"/wait", "/stream-later", "/stream-endless"};
    own(text_done) struct text gone = {0};
    int fds[ARRAY_LEN(paths)], started = stub.started;

    options.drain_timeout_ms = 150;
    struct server *server = server_up(&options);
    stub.hold_sources = true;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        own(freep) char *request = xprintf("GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
        fds[i] = connect_to(server_port(server, 0));
        send_text(fds[i], request);
    }
    eventually(stub.started == started + 3);
    server_stop(server);
    assert_int_equal(stub.started, stub.finished);
    assert_int_equal(counters(server).connections_open, 0);
    assert_int_equal(waiting(), 1); /* the worker has not even noticed: its ticket comes home to nobody */
    assert_false(receive_all(fds[0], &gone));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        close(fds[i]);
    stub.hold_sources = false;
    server_down(server);
}

static void a_server_may_be_freed_without_stop(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);

    server_free(server_up(&options));
    server_free(NULL);
    assert_int_equal(stub.benches, 0);
}

/* ---- Unix sockets ---- */

static int unix_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(a.sun_path, path);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void unix_sockets_are_served(void **state)
{
    char folder[] = "/tmp/bailiff-test-XXXXXX";
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text answer = {0};
    struct stat st;

    assert_non_null(mkdtemp(folder));
    own(freep) char *path = xprintf("%s/sock", folder);
    listener.address = path;

    /* Left behind by one that crashed. */
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    strcpy(stale.sun_path, path);
    int old = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(old, (struct sockaddr *)&stale, sizeof(stale)), 0);
    close(old);

    struct server *server = server_up(&options);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    int fd = unix_connect(path);
    assert_true(fd >= 0);
    send_text(fd, "GET /u HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_true(receive_all(fd, &answer));
    close(fd);
    assert_contains(&answer, "GET|/u|||unix|plain|");
    expect_no_start(&options, FAULT_CONFLICT, "is in use");
    int still = unix_connect(path);
    assert_true(still >= 0);
    close(still);
    server_down(server);
    assert_int_equal(stat(path, &st), -1);

    struct fault fault = {0};
    assert_true(file_write_durable(path, "precious", 8, 0600, &fault));
    expect_no_start(&options, FAULT_CONFLICT, "is no socket");
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    rmdir(folder);
}

/* ---- access log ---- */

static void each_exchange_is_one_line(void **state)
{
    FILE *file = tmpfile();
    struct log *log = log_new(fileno(file), LOG_JSON, LOG_INFO);
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text answer = {0}, lines = {0};
    char buf[8192];

    options.log = log;
    options.access_log = true;
    struct server *server = server_up(&options);
    talk(server_port(server, 0),
         "GET /p%22?token=secret HTTP/1.1\r\n" HOST "Authorization: Bearer hidden\r\n\r\nGET /close HTTP/1.1\r\n" HOST
         "\r\n",
         &answer);
    talk(server_port(server, 0), "GET /malformed HTTP/1.1\r\n\r\n", &answer);
    server_down(server);
    ssize_t n = pread(fileno(file), buf, sizeof(buf), 0);
    text_append(&lines, buf, (size_t)n);
    assert_int_equal(count_of(&lines, "\"event\":\"request\""), 2);
    assert_contains(&lines, "\"method\":\"GET\",\"path\":\"/p%22\",");
    assert_contains(&lines, "\"status\":200,\"bytes\":3,");
    assert_contains(&lines, "\"address\":\"127.0.0.1\"");
    assert_contains(&lines, "\"event\":\"request.malformed\"");
    assert_lacks(&lines, "secret");
    assert_lacks(&lines, "hidden");
    log_free(log);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(strangers_get_no_plain_http),
        cmocka_unit_test(a_loop_that_cannot_start_undoes_all),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(idle_slow_heads_and_slow_bodies_are_cut),
        cmocka_unit_test(a_trickled_head_is_cut_and_a_keep_alive_connection_is_not),
        cmocka_unit_test(clients_that_read_nothing_are_cut),
        cmocka_unit_test(requests_in_flight_are_answered),
        cmocka_unit_test(what_does_not_end_is_cut),
        cmocka_unit_test(a_server_may_be_freed_without_stop),
        cmocka_unit_test(unix_sockets_are_served),
        cmocka_unit_test(each_exchange_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
