/* Every permission there is: this one list makes the C enum, the names in policies/roles.yaml and the documentation.
 *
 * PERM_NONE is zero and denies, so a forgotten cell in a table fails closed. */
#ifndef BAILIFF_PERMISSION_H
#define BAILIFF_PERMISSION_H

#include "bailiff/common.h"

/* X(enum name, name in the policy file, what it allows) */
#define PERMISSIONS(X)                                                             \
    X(TASKS_READ, "tasks:read", "list and read tasks")                             \
    X(TASKS_CREATE, "tasks:create", "create tasks from a configuration")           \
    X(TASKS_DELETE, "tasks:delete", "delete tasks")                                \
    X(TASKS_SUBMIT, "tasks:submit", "submit tasks for execution")                  \
    X(JOBS_READ, "jobs:read", "list and read jobs, their logs and events")         \
    X(JOBS_CREATE, "jobs:create", "create jobs without running them")              \
    X(JOBS_DELETE, "jobs:delete", "delete jobs that have ended")                   \
    X(JOBS_SUBMIT, "jobs:submit", "submit created jobs for execution")             \
    X(JOBS_CANCEL, "jobs:cancel", "cancel jobs")                                   \
    X(QUEUE_READ, "queue:read", "see whether the queue is paused")                 \
    X(QUEUE_WRITE, "queue:write", "pause and resume the queue")                    \
    X(SUBMISSIONS_READ, "submissions:read", "list and read submissions")           \
    X(DATANODES_READ, "datanodes:read", "list data nodes and read their data")     \
    X(CONFIGS_READ, "configs:read", "list the application's configurations")       \
    X(REVOCATIONS_READ, "revocations:read", "list revoked tokens")                 \
    X(REVOCATIONS_WRITE, "revocations:write", "revoke tokens, and take that back") \
    X(HEALTH_DETAILS, "health:details", "see the reasons behind /readyz")

enum permission {
    PERM_NONE = 0, /* denies everybody */
    PERM_PUBLIC,   /* no token needed */
    PERM_ANY,      /* any authenticated caller */
#define X(name, text, help) name,
    PERMISSIONS(X)
#undef X
        PERM_COUNT,
};

/* One bit a permission: 1 << enum permission. */
typedef uint64_t permission_set;
_Static_assert(PERM_COUNT <= 64, "permission_set is 64 bits");
#define PERMISSION_BIT(p) ((permission_set)1 << (p))

const char *permission_name(enum permission p); /* "tasks:read"; "public", "any", "none" */
const char *permission_help(enum permission p);
/* A real permission (never public, any or none) by name. */
must_check bool permission_parse(const char *name, enum permission *ret);

#endif
