/* What the users' code writes to stdout and stderr: forwarded up to a limit, then swallowed, so that nobody blocks on
 * a full pipe. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "jobs/keeper.h"

struct child *keeper_speaker(struct keeper *keeper)
{
    bool command = keeper->state != KEEPER_IDLE && request_is_command(&keeper->request);
    struct child *speaker = command ? &keeper->command : &keeper->worker;

    return speaker->output >= 0 && link_queued(&keeper->runner) <= KEEPER_QUEUE_MAX ? speaker : NULL;
}

static void forward(struct keeper *keeper, const struct child *speaker, struct span bytes)
{
    int64_t attempt = keeper->request.attempt;

    /* Between attempts there is nobody to whom output could belong, and a read's is nobody's business. */
    if (keeper->state == KEEPER_IDLE || keeper->request.op != REQUEST_START ||
        request_is_command(&keeper->request) != (speaker == &keeper->command))
        return;
    uint64_t room = keeper->log_max - MIN(keeper->logged, keeper->log_max);
    size_t len = (size_t)MIN(room, (uint64_t)bytes.len);
    if (len > 0) {
        link_send_output(&keeper->runner, attempt, (struct span){bytes.data, len});
        keeper->logged += len;
    }
    if (len < bytes.len && !keeper->log_cut) {
        char line[80];
        int written = snprintf(line, sizeof line, "\n[log cut at %llu bytes]\n", (unsigned long long)keeper->log_max);
        link_send_output(&keeper->runner, attempt, (struct span){line, (size_t)written});
        keeper->log_cut = true;
    }
}

void keeper_read_output(struct keeper *keeper)
{
    char buffer[FRAME_OUTPUT_MAX];
    struct child *speaker = keeper_speaker(keeper);

    if (!speaker)
        return;
    ssize_t got = read(speaker->output, buffer, sizeof buffer);
    if (got > 0) {
        forward(keeper, speaker, (struct span){buffer, (size_t)got});
        keeper->drain_left -= got;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        closep(&speaker->output);
        keeper->drain_left = 0;
    } else if (errno == EAGAIN)
        keeper->drain_left = 0;
}
