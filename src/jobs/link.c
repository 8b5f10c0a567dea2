#include "jobs/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COMPACT_FROM = 65536 };

void link_init(struct link *link, int fd)
{
    *link = (struct link){.fd = fd};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void link_done(struct link *link)
{
    closep(&link->fd);
    text_done(&link->in);
    text_done(&link->out);
    *link = (struct link){.fd = -1, .ended = true};
}

/* Drops what was taken from the front, when that is cheap or enough. */
static void compact(struct text *text, size_t *begin)
{
    if (*begin == text->len)
        text_clear(text);
    else if (*begin >= COMPACT_FROM) {
        memmove(text->data, text->data + *begin, text->len - *begin);
        text->len -= *begin;
        text->data[text->len] = '\0';
    } else
        return;
    *begin = 0;
}

bool link_fill(struct link *link, struct fault *fault)
{
    char buffer[LINK_READ_MAX];

    compact(&link->in, &link->in_begin);
    if (link->ended || link->in.len - link->in_begin > FRAME_HEAD + FRAME_MAX)
        return true; /* a whole frame is there: first it must be taken */
    ssize_t got = recv(link->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0)
        text_append(&link->in, buffer, (size_t)got);
    else if (got == 0)
        link->ended = true;
    else if (errno != EAGAIN && errno != EINTR)
        return fault_unavailable(fault, 1, "The connection broke: %s.", strerror(errno));
    return true;
}

bool link_next(struct link *link, struct frame *ret_frame, bool *ret_got, struct fault *fault)
{
    struct span rest = {link->in.data + link->in_begin, link->in.len - link->in_begin};
    size_t taken;

    if (rest.len == 0) {
        *ret_got = false;
        return true;
    }
    switch (frame_read(rest, ret_frame, &taken)) {
    case FRAME_PARTIAL:
        *ret_got = false;
        return true;
    case FRAME_WHOLE:
        link->in_begin += taken;
        *ret_got = true;
        return true;
    case FRAME_BROKEN:
        break;
    }
    return fault_set(fault, FAULT_INVALID, "The other end does not speak the runner's protocol.");
}

bool link_send(struct link *link, struct span json, struct fault *fault)
{
    return frame_write_message(&link->out, json, fault);
}

void link_send_output(struct link *link, int64_t attempt, struct span bytes)
{
    frame_write_output(&link->out, attempt, bytes);
}

bool link_flush(struct link *link, struct fault *fault)
{
    while (link->out_begin < link->out.len) {
        ssize_t sent = send(link->fd, link->out.data + link->out_begin, link->out.len - link->out_begin,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            return fault_unavailable(fault, 1, "The connection broke: %s.", strerror(errno));
        link->out_begin += (size_t)sent;
    }
    compact(&link->out, &link->out_begin);
    return true;
}

size_t link_queued(const struct link *link)
{
    return link->out.len - link->out_begin;
}

short link_events(const struct link *link)
{
    return (short)((link->ended ? 0 : POLLIN) | (link_queued(link) > 0 ? POLLOUT : 0));
}
