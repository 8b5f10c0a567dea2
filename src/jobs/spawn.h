/* Starting a process of the users' code from its keeper. One thread. */
#ifndef JOBS_SPAWN_H
#define JOBS_SPAWN_H

#include <sys/types.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

struct spawn {
    const char *file; /* absolute, or relative to folder */
    char *const *argv, *const *environment;
    const char *folder;
    int null, output; /* become stdin; stdout and stderr */
    int socket;       /* becomes descriptor 3; -1: none */
};
/* The child has a session of its own, no signal blocked, no other descriptor, and is killed when this process dies.
 * All descriptors given must be above 3. */
must_check bool spawn_process(const struct spawn *spawn, pid_t *ret_pid, struct fault *fault);
/* The file that `name` stands for: as it is, below root ("./…"), or the first on `path` (a list of folders). NULL:
 * none. */
char *spawn_find(struct arena *arena, const char *name, const char *root, const char *path);
/* Limits and flags that children inherit: no core dumps, no more privileges by exec. */
must_check bool spawn_confine(struct fault *fault);

/* ---- argument and environment lists, NULL-terminated ---- */
struct strings {
    char **items;
    size_t count;
};
void strings_add(struct strings *strings, struct arena *arena, const char *text);
void strings_set(struct strings *strings, struct arena *arena, const char *name,
                 const char *value); /* replaces NAME=… */

#endif
