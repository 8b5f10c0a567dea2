/* One end of a stream socket that carries frames, never blocking in either direction. Owned by one thread's loop.
 *
 * What is read is bounded by one frame and a read's worth; what waits to be sent is bounded by the users of a link:
 * each asks link_queued before it takes in more to pass on. */
#ifndef JOBS_LINK_H
#define JOBS_LINK_H

#include "jobs/frame.h"

struct link {
    int fd;          /* -1: none */
    bool ended;      /* the other end will send nothing more */
    struct text in;  /* from in_begin on: not yet taken */
    struct text out; /* from out_begin on: not yet sent */
    size_t in_begin, out_begin;
};

void link_init(struct link *link, int fd); /* takes the descriptor over and makes it non-blocking and close-on-exec */
void link_done(struct link *link);         /* closes; the link has no descriptor then */
enum { LINK_READ_MAX = 65536 };
/* Reads what is there, at most so many bytes; at the stream's end sets `ended`. False if the connection broke. */
must_check bool link_fill(struct link *link, struct fault *fault);
/* The next whole frame, valid until the next link_fill; *ret_got is false if there is none yet. False if it is not
 * this protocol. */
must_check bool link_next(struct link *link, struct frame *ret_frame, bool *ret_got, struct fault *fault);
/* Queue; link_flush sends what the socket takes. */
must_check bool link_send(struct link *link, struct span json, struct fault *fault);
void link_send_output(struct link *link, int64_t attempt, struct span bytes);
must_check bool link_flush(struct link *link, struct fault *fault);
size_t link_queued(const struct link *link);
short link_events(const struct link *link); /* what to poll for */

#endif
