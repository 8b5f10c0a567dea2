/* Names of the enumerations, from the lists in the header. */
#include "bailiff/model.h"

#define X(name, wire) [name] = wire,
static const char *const job_names[] = {JOB_STATUSES(X)};
static const char *const submission_names[] = {SUBMISSION_STATUSES(X)};
static const char *const scope_names[] = {SCOPES(X)};
static const char *const storage_names[] = {STORAGE_TYPES(X)};
static const char *const proof_names[] = {PROOFS(X)};
#undef X

static bool find(const char *const *names, size_t count, struct span s, unsigned *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(s, names[i])) {
            *ret = (unsigned)i;
            return true;
        }
    }
    return false;
}

const char *job_status_name(enum job_status s)
{
    return job_names[s];
}

const char *submission_status_name(enum submission_status s)
{
    return submission_names[s];
}

const char *data_scope_name(enum data_scope s)
{
    return scope_names[s];
}

const char *storage_type_name(enum storage_type s)
{
    return storage_names[s];
}

const char *proof_name(enum proof p)
{
    return proof_names[p];
}

bool proof_parse(struct span s, enum proof *ret)
{
    unsigned value;
    if (!find(proof_names, ARRAY_LEN(proof_names), s, &value))
        return false;
    *ret = (enum proof)value;
    return true;
}

bool job_status_parse(struct span s, enum job_status *ret)
{
    unsigned value;
    if (!find(job_names, ARRAY_LEN(job_names), s, &value))
        return false;
    *ret = (enum job_status)value;
    return true;
}

bool submission_status_parse(struct span s, enum submission_status *ret)
{
    unsigned value;
    if (!find(submission_names, ARRAY_LEN(submission_names), s, &value))
        return false;
    *ret = (enum submission_status)value;
    return true;
}

bool data_scope_parse(struct span s, enum data_scope *ret)
{
    unsigned value;
    if (!find(scope_names, ARRAY_LEN(scope_names), s, &value))
        return false;
    *ret = (enum data_scope)value;
    return true;
}

bool storage_type_parse(struct span s, enum storage_type *ret)
{
    unsigned value;
    if (!find(storage_names, ARRAY_LEN(storage_names), s, &value))
        return false;
    *ret = (enum storage_type)value;
    return true;
}

const char *storage_type_extension(enum storage_type s)
{
    static const char *const extensions[] = {
        [STORAGE_PICKLE] = "p", [STORAGE_JSON] = "json", [STORAGE_CSV] = "csv", [STORAGE_IN_MEMORY] = "p"};
    return extensions[s];
}

/* ---- permissions ---- */

static const struct {
    const char *name, *help;
} permissions[PERM_COUNT] = {[PERM_NONE] = {"none", "nobody"},
                             [PERM_PUBLIC] = {"public", "everybody, without a token"},
                             [PERM_ANY] = {"any", "every authenticated caller"},
#define X(name, text, help) [name] = {text, help},
                             PERMISSIONS(X)
#undef X
};

const char *permission_name(enum permission p)
{
    return permissions[p].name;
}

const char *permission_help(enum permission p)
{
    return permissions[p].help;
}

bool permission_parse(const char *name, enum permission *ret)
{
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++) {
        if (strcmp(permissions[p].name, name) == 0) {
            *ret = (enum permission)p;
            return true;
        }
    }
    return false;
}
