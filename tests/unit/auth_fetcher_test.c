/* Transfers: what has ended is never slept over, what takes too long or says too much is cut off. No provider is needed: the other
 * end is a socket of the test's own that speaks no TLS. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "auth/fetcher.h"
#include "bailiff/clock.h"
#include "unit/auth_tokens.h"

static int listen_somewhere(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static struct fetcher *fetcher_made(void)
{
    struct fetcher *f = NULL;
    struct fault fault = {0};

    assert_int_equal(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
    assert_true(fetcher_new(&f, &fault));
    return f;
}

/* Polls with a patience that a test would not survive if an end were slept over. */
static struct fetched wait_for_end(struct fetcher *f)
{
    int64_t until_ms = clock_mono_ms() + 30000;
    struct fetched fetched;

    while (!fetcher_next(f, &fetched)) {
        assert_true(clock_mono_ms() < until_ms);
        fetcher_poll(f, 600000);
    }
    return fetched;
}

static void get(struct fetcher *f, const char *url, void *owner)
{
    const struct https_target target = {url, NULL, NULL};
    struct fault fault = {0};

    if (!fetcher_get(f, &target, owner, &fault))
        fail_msg("%s %s", fault.message, fault.detail);
}

/* A scheme that is not allowed, and a port where nobody listens, fail at once, before there is anything to wait for. */
static void what_ends_at_once_is_not_slept_over(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1/", "https://127.0.0.1:1/", "file:///etc/passwd",
                                       "https://[::1]:1/"};
    struct fetcher *f = fetcher_made();

    for (size_t i = 0; i < 4 * ARRAY_LEN(urls); i++) {
        int owner;
        get(f, urls[i % ARRAY_LEN(urls)], &owner);
        struct fetched fetched = wait_for_end(f);
        assert_ptr_equal(fetched.owner, &owner);
        assert_false(fetched.ok);
        assert_int_equal(fetched.fault.kind, FAULT_UNAVAILABLE);
        fetched_done(&fetched);
    }
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) /* all at once */
        get(f, urls[i], NULL);
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct fetched fetched = wait_for_end(f);
        assert_false(fetched.ok);
        fetched_done(&fetched);
    }
    fetcher_free(f);
}

static void who_speaks_no_tls_is_refused(void **state)
{
    unsigned port;
    int listener = listen_somewhere(&port);
    struct fetcher *f = fetcher_made();
    own(freep) char *url = xprintf("https://127.0.0.1:%u/", port);

    get(f, url, NULL);
    for (int i = 0; i < 100; i++)
        fetcher_poll(f, 10);
    int peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(write(peer, "HTTP/1.1 200 OK\r\n\r\n{}", 21), 21);
    struct fetched fetched = wait_for_end(f);
    assert_false(fetched.ok);
    fetched_done(&fetched);
    close(peer);
    close(listener);
    fetcher_free(f);
}

static void a_wake_ends_the_wait(void **state)
{
    unsigned port;
    int listener = listen_somewhere(&port);
    struct fetcher *f = fetcher_made();
    own(freep) char *url = xprintf("https://127.0.0.1:%u/", port);

    get(f, url, NULL); /* nobody answers */
    fetcher_wake(f);
    fetcher_poll(f, 600000);
    fetcher_free(f); /* while it is under way */
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_at_once_is_not_slept_over),
        cmocka_unit_test(who_speaks_no_tls_is_refused),
        cmocka_unit_test(a_wake_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
