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
    int scope;        /* see spawn_scope_open; -1: none */
};
/* The child has a session of its own, no signal blocked, no other descriptor, and is killed when this process dies.
 * All descriptors given must be above 3. */
must_check bool spawn_process(const struct spawn *spawn, pid_t *ret_pid, struct fault *fault);
/* The file that `name` stands for: as it is, below root ("./…"), or the first on `path` (a list of folders). NULL:
 * none. */
char *spawn_find(struct arena *arena, const char *name, const char *root, const char *path);
/* Limits and flags that children inherit: no core dumps, no more privileges by exec. */
must_check bool spawn_confine(struct fault *fault);
/* What keeps a process and its descendants from signalling and tracing any other, although all are of one user: a Landlock ruleset.
 * -1: the kernel has none that does. */
int spawn_scope_open(void);
/* What tells the processes of a work folder from all others, whatever becomes of their environment: the hard limit of file locks, which
 * Linux has not heeded since 2.4, children inherit, and nobody without privileges can raise. */
uint64_t spawn_mark(const char *work);
/* Of this process, and so of its children; not where the limit is lower already. */
void spawn_set_mark(const char *work);

/* ---- argument and environment lists, NULL-terminated ---- */
struct strings {
    char **items;
    size_t count;
};
void strings_add(struct strings *strings, struct arena *arena, const char *text);
void strings_set(struct strings *strings, struct arena *arena, const char *name,
                 const char *value); /* replaces NAME=… */

#endif
