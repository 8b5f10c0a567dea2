/* Deleting folders that may hold anything: a million files, a thousand levels, no permissions. A bit at a time, never
 * through a link.
 *
 * What is deleted is first renamed into one flat folder; subfolders that are met on the way are renamed up into it,
 * too, so that depth costs neither recursion nor descriptors. One thread. */
#ifndef JOBS_TRASH_H
#define JOBS_TRASH_H

#include "bailiff/fault.h"

struct trash {
    char *folder;
    int fd;
    uint64_t counter;
    bool empty; /* as far as we know */
};

must_check bool trash_init(struct trash *trash, const char *folder, struct fault *fault);
void trash_done(struct trash *trash);
void trash_throw(struct trash *trash, const char *path); /* fine if there is no such path */
/* Deletes up to `budget` entries. True while something is left. */
bool trash_sweep(struct trash *trash, unsigned budget);

#endif
