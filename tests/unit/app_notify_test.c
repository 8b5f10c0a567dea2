/* What the service manager is told. */
#include "app_kit.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "app/notify.h"

static int manager_new(const char *path, size_t len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, path, len);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    return fd;
}

static void assert_told(int fd, const char *expected)
{
    char message[256] = "";
    ssize_t n = recv(fd, message, sizeof(message) - 1, 0);

    assert_true(n > 0);
    assert_int_equal(strncmp(message, expected, strlen(expected)), 0);
}

static void test_a_socket_by_path(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "notify");
    own(closep) int fd = manager_new(path, strlen(path));

    setenv("NOTIFY_SOCKET", path, 1);
    notify_ready("Serving.");
    assert_told(fd, "READY=1\nSTATUS=Serving.");
    notify_reloading();
    assert_told(fd, "RELOADING=1\nMONOTONIC_USEC=");
    notify_stopping();
    assert_told(fd, "STOPPING=1\n");
    notify_extend(90);
    assert_told(fd, "EXTEND_TIMEOUT_USEC=90000000");
    unsetenv("NOTIFY_SOCKET");
}

static void test_an_abstract_socket(void **state)
{
    own(freep) char *name = xprintf("@bailiff-notify-%d", (int)getpid()), *bound = xstrdup(name);
    bound[0] = '\0';
    own(closep) int fd = manager_new(bound, strlen(name));

    setenv("NOTIFY_SOCKET", name, 1);
    notify_ready("x");
    assert_told(fd, "READY=1\nSTATUS=x");
    unsetenv("NOTIFY_SOCKET");
}

static void test_no_manager_is_no_matter(void **state)
{
    static const char *const PLACES[] = {"", "/", "relative", "/nonexistent/notify", "@"};
    own(text_done) struct text longest = {0};

    unsetenv("NOTIFY_SOCKET");
    notify_ready("x");
    for (size_t i = 0; i < ARRAY_LEN(PLACES); i++) {
        setenv("NOTIFY_SOCKET", PLACES[i], 1);
        notify_ready("x");
    }
    for (int i = 0; i < 1000; i++)
        text_append_char(&longest, '/');
    setenv("NOTIFY_SOCKET", longest.data, 1);
    notify_ready("x");
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_by_path),
        cmocka_unit_test(test_an_abstract_socket),
        cmocka_unit_test(test_no_manager_is_no_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
