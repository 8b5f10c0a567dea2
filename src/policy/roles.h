/* A policy as it is kept, and how it is read. */
#ifndef POLICY_ROLES_H
#define POLICY_ROLES_H

#include "bailiff/policy.h"

enum { ROLES_MAX = 256, ROLE_NAME_MAX = 64, POLICY_SIZE_MAX = 1 << 20 };

struct include {
    const char *role;
    unsigned line;
    struct include *next;
};

struct role {
    const char *name;
    unsigned line;
    permission_set permissions; /* its own, as written */
    enum proof require;         /* less than this, and the role gives nothing */
    /* Once resolved: what it gives, with what it includes, to who has proved that much. More proof never gives less. */
    permission_set given[PROOF_COUNT];
    struct include *includes;
    enum { ROLE_READ, ROLE_RESOLVING, ROLE_RESOLVED } state;
};

struct policy {
    unsigned references;
    struct arena arena; /* owns the names and the includes */
    size_t role_count;
    struct role roles[ROLES_MAX];          /* in the file's order */
    const struct role *by_name[ROLES_MAX]; /* sorted, for decisions */
    char digest[65];
};

/* Reads the file into policy->roles. */
must_check bool roles_read(struct policy *policy, struct span yaml, const char *name, struct fault *fault);
/* Gives each role what its includes grant. */
must_check bool roles_resolve(struct policy *policy, const char *name, struct fault *fault);

#endif
