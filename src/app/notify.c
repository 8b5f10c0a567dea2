#include "app/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "bailiff/clock.h"

/* Nobody waits for an answer, and a manager that does not listen is no reason to fail. */
static void notify(const char *message)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = secure_getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    own(closep) int fd = -1;

    if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') /* an abstract name */
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)!sendto(fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

void notify_ready(const char *status)
{
    own(freep) char *message = xprintf("READY=1\nSTATUS=%s", status);

    notify(message);
}

void notify_reloading(void)
{
    own(freep) char *message = xprintf("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());

    notify(message);
}

void notify_stopping(void)
{
    notify("STOPPING=1\nSTATUS=Draining.");
}

void notify_extend(unsigned seconds)
{
    own(freep) char *message = xprintf("EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)seconds * 1000000);

    notify(message);
}
