/* Finding and ending every descendant of this process: the reason why "canceled" can be believed.
 *
 * The process must be a child subreaper, so that whatever its descendants leave behind becomes its own child. Linux's
 * /proc is read; a signal goes through a pidfd whose process was looked at again, so that no re-used number is hit.
 * One thread. */
#ifndef JOBS_DESCENDANTS_H
#define JOBS_DESCENDANTS_H

#include <dirent.h>
#include <sys/types.h>

#include "bailiff/fault.h"

struct process {
    pid_t pid, parent;
    unsigned long long started; /* clock ticks since boot: tells a re-used number from the process that was seen */
    bool dead;                  /* a zombie without living threads */
    bool marked;
};

struct census {
    DIR *proc;
    int last; /* /proc/loadavg, whose last number is the newest process's or thread's; -1: not to be relied on here */
    struct process *list; /* by rising pid */
    size_t count, cap;
};

must_check bool census_init(struct census *census, struct fault *fault);
void census_done(struct census *census);

struct spared {
    const pid_t *pids;
    size_t count;
    bool descendants; /* theirs are spared, too */
};
/* Sends the signal to every living descendant but those spared; returns how many there are. Signal 0 only counts. None found is no proof
 * that there is none: one that is born, and loses its parent, while /proc is read stands nowhere in what was read. */
size_t census_signal(struct census *census, struct spared spared, int signal);
/* Kills every process of our own user in whose environment stands `entry` ("NAME=value"), or whose hard limit of file locks is `mark`,
 * this one spared; how many there were. */
size_t census_kill_marked(struct census *census, const char *entry, uint64_t mark);

/* Certain that this process, which has one thread, has no living descendant but this child (0: none at all, and none whose end is
 * still to be taken note of). False may also mean that it cannot be told. */
bool census_alone(struct census *census, pid_t child);
/* The same of its children only: it has none but those spared, whatever these have. */
bool census_only(struct census *census, struct spared spared);
/* Whether the kernel has the lists that these two need (but for census_alone of 0, which needs none). */
bool census_can_tell(struct census *census);
/* Kills its own children but those spared: so quickly that it also meets those who fork and end in one breath, always a new one. */
void census_kill_children(struct census *census, struct spared spared);

/* A moment, to be compared with later: if no process was born in between, none needs to be looked for. */
struct census_mark {
    int64_t at_us, last_pid; /* 0: never */
};
struct census_mark census_mark(struct census *census);
bool census_quiet(const struct census_mark *since, const struct census_mark *now);
/* Tells the census that a process was born since the mark: if it did not see that, it does not try again. */
void census_prove(struct census *census, const struct census_mark *since);

#endif
