/* The folders of attempts. One that is empty again serves the next attempt under a new name: file systems are slow to make
 * and remove many (ext4 passes over what was removed in the last seconds before it finds room for a new one). One
 * thread. */
#ifndef JOBS_FOLDERS_H
#define JOBS_FOLDERS_H

#include <sys/types.h>
#include <time.h>

#include "jobs/trash.h"

enum { FOLDERS_SPARE_MAX = 64 };

/* When a folder was last known to be as a new one. */
struct folder_seal {
    ino_t inode; /* 0: it must be looked into */
    struct timespec changed;
};

struct folders {
    struct trash *trash; /* for what cannot be used again, and what stands in the way */
    mode_t mode;
    char *spare[FOLDERS_SPARE_MAX];
    size_t spare_count;
};

void folders_init(struct folders *folders, struct trash *trash, mode_t mode);
void folders_done(struct folders *folders);
/* An empty folder of this path, whatever was there. */
must_check bool folders_take(struct folders *folders, const char *path, struct fault *fault);
/* Nobody uses it any more. */
void folders_give_back(struct folders *folders, const char *path);
/* An empty folder of this path, that serves one after the other under the same name. Most leave it as it was: that its inode was not changed
 * since it was sealed is enough to know. */
must_check bool folders_renew(struct folders *folders, const char *path, struct folder_seal *seal, struct fault *fault);
/* A keeper's own, for commands of which nothing is fetched. Caller frees. */
char *keeper_folder_path(const char *work, pid_t keeper);

#endif
