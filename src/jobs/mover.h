/* Copies files out of the runner's folder into storage, on a thread of its own, so that a slow disk holds up nobody's
 * transitions.
 *
 * What comes in together is made durable together. Sources are the hostile side's: each is opened below a descriptor
 * of the work folder without following any link, and must be a regular file of the runner's user within the size
 * limit. */
#ifndef JOBS_MOVER_H
#define JOBS_MOVER_H

#include <sys/types.h>

#include "bailiff/fault.h"
#include "bailiff/ticket.h"

struct moved_file {
    char *from[3]; /* names from the work folder down; NULL: end */
    char *to;      /* name in the results folder; NULL: an unlinked temporary file */
    int fd;        /* the temporary file, open for reading; -1 */
    uint64_t size;
};

struct move {
    struct parcel parcel; /* is posted to the inbox when all is done; deliver is the caller's */
    void *subject;
    int folder; /* the work folder; closed with the move; -1: no descriptor was left for it */
    uid_t owner;
    uint64_t size_max;
    struct moved_file *files;
    size_t count;
    bool ok;
    struct fault fault; /* UNAVAILABLE: the disk's, try again; else the source's */
    struct move *next;
};
struct move *move_new(size_t count);
void move_free(struct move *move);

struct mover;
/* results: folder of immutable files, whose group becomes `group` (0: stays); temporary files are made in it, too. */
must_check bool mover_new(const char *results, gid_t group, struct inbox *inbox, struct mover **ret_mover,
                          struct fault *fault);
void mover_free(struct mover *mover); /* finishes what is queued; NULL ok */
void mover_submit(struct mover *mover, struct move *move);

/* The same opening, for whoever needs it. */
must_check bool open_handed_over(int folder, char *const *names, uid_t owner, uint64_t size_max, int *ret_fd,
                                 struct fault *fault);
/* Copies up to size_max bytes; faults as in struct move. */
must_check bool copy_handed_over(int from, int to, uint64_t size_max, uint64_t *ret_size, struct fault *fault);

#endif
