/* Whether a server could start: asked before anything is changed. */
#include "app_kit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "app/probe.h"
#include "bailiff/store.h"

/* A listening socket that does not share its port. */
static int take_port(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static struct config *load(const struct folder *f, const char *listener)
{
    own(freep) char *path = folder_file(f, "bailiff.yaml"), *yaml = NULL;
    struct problems problems;
    struct config *c;

    yaml = xprintf("server:\n  public_url: https://a.example\n  listeners:\n    - %s\n"
                   "store: {folder: data}\napplication: a.toml\npolicy: {roles: r}\nexecution: {same_user: unsafe}\n"
                   "issuers: [{issuer: i, audiences: [a], jwks_file: j}]\n",
                   listener);
    folder_write(f, "bailiff.yaml", yaml, 0600);
    c = config_load(path, CONFIG_TEXT, &problems);
    assert_non_null(c);
    assert_int_equal(problems.mistakes, 0);
    problems_done(&problems);
    return c;
}

static void assert_refused(const struct config *c, const struct folder *f, const char *expected)
{
    struct fault fault = {0};

    assert_false(probe_start(c, &fault));
    assert_int_equal(fault.kind, FAULT_CONFLICT);
    own(freep) char *message = text_replaced(fault.message, f->path, "@");
    assert_string_equal(message, expected);
}

static void test_a_port_in_use(void **state)
{
    own(folder_done) struct folder f = folder_new();
    unsigned port;
    own(closep) int fd = take_port(&port);
    own(freep) char *listener = xprintf("{address: 127.0.0.1, port: %u, tls: false}", port), *expected = NULL;
    own(config_freep) struct config *c = load(&f, listener);
    struct fault fault = {0};
    struct stat st;

    expected = xprintf(
        "@/bailiff.yaml:4: port %u of 127.0.0.1 is in use by another program; stop that, or choose another port.",
        port);
    assert_refused(c, &f, expected);
    assert_int_equal(stat(c->store.folder, &st), -1); /* and nothing was made */
    close(fd);
    fd = -1;
    assert_true(probe_start(c, &fault));
}

/* SO_REUSEPORT on both sides would let two servers share a port, and half of the requests. */
static void test_a_port_that_is_shared(void **state)
{
    own(folder_done) struct folder f = folder_new();
    unsigned port;
    own(closep) int fd = take_port(&port);
    own(freep) char *listener = xprintf("{address: 127.0.0.1, port: %u, tls: false}", port);
    own(config_freep) struct config *c = load(&f, listener);
    struct fault fault = {0};
    int on = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_false(probe_start(c, &fault));
}

static void test_a_folder_in_use(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(config_freep) struct config *c = load(&f, "{address: /tmp/bailiff-no-such-folder/s, tls: false}");
    own(closep) int lock = -1;
    struct fault fault = {0};

    assert_int_equal(mkdir(c->store.folder, 0700), 0);
    assert_true(store_lock(c->store.folder, &lock, &fault));
    assert_refused(c, &f, "@/data is in use by another bailiff; stop it, or choose another store.folder.");
    close(lock);
    lock = -1;
    assert_true(probe_start(c, &fault));
}

static void test_a_socket_in_use(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *listener = xprintf("{address: %s/s, tls: false}", f.path);
    own(config_freep) struct config *c = load(&f, listener);
    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fault fault = {0};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", f.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_refused(c, &f, "@/bailiff.yaml:4: another program listens on @/s; stop that, or choose another path.");
    close(fd);
    fd = -1;
    assert_true(probe_start(c, &fault)); /* what a server that was killed leaves behind does not count */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_port_in_use),
        cmocka_unit_test(test_a_port_that_is_shared),
        cmocka_unit_test(test_a_folder_in_use),
        cmocka_unit_test(test_a_socket_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
