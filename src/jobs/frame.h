/* Frames: the one form of all that server, runner, keeper and worker say to each other (PROTOCOL.md). Pure. */
#ifndef JOBS_FRAME_H
#define JOBS_FRAME_H

#include "bailiff/fault.h"
#include "bailiff/text.h"

enum {
    FRAME_HEAD = 4,          /* length of the rest, big-endian */
    FRAME_MAX = 1 << 20,     /* of the rest: type and body */
    FRAME_ATTEMPT = 8,       /* attempt number before the bytes of an output frame */
    FRAME_OUTPUT_MAX = 65536 /* bytes of output in one frame */
};
#define FRAME_NUMBER_MAX ((int64_t)1 << 53) /* attempts and requests: exact in every JSON reader */

enum frame_type { FRAME_MESSAGE = 'J', FRAME_OUTPUT = 'L' };

struct frame {
    enum frame_type type;
    int64_t attempt;  /* FRAME_OUTPUT */
    struct span body; /* JSON text, or what the job wrote; points into what was read */
};

enum frame_state {
    FRAME_PARTIAL, /* more bytes are needed */
    FRAME_WHOLE,
    FRAME_BROKEN, /* not this protocol: end the connection */
};
/* Looks at the beginning of `data`. *ret_frame and *ret_used (bytes taken) are set when a whole frame is there. */
enum frame_state frame_read(struct span data, struct frame *ret_frame, size_t *ret_used);

/* False if the message is too long for a frame; nothing is written then. */
must_check bool frame_write_message(struct text *out, struct span json, struct fault *fault);
void frame_write_output(struct text *out, int64_t attempt, struct span bytes); /* 1 … FRAME_OUTPUT_MAX bytes */

#endif
