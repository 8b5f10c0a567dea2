/* Roles and decisions. A policy is an immutable, counted snapshot of policies/roles.yaml; an exchange pins one for its whole life. */
#ifndef BAILIFF_POLICY_H
#define BAILIFF_POLICY_H

#include "bailiff/fault.h"
#include "bailiff/model.h"

struct policy;

/* Reads a roles file. Faults say file:line and remedy: unknown permission (with the nearest name), unknown key, a role
 * twice, no role at all, not YAML, too large (1 MiB). */
must_check bool policy_load(const char *path, struct policy **ret_policy, struct fault *fault);
must_check bool policy_parse(struct span yaml, const char *name, struct policy **ret_policy, struct fault *fault);
struct policy *policy_ref(struct policy *policy); /* any thread */
void policy_unref(struct policy *policy);         /* NULL ok */

/* The permissions of one role, for a caller who has proved that much; 0 for an unknown role (default deny). A role may demand more
 * than a token (`require`), and gives nothing to who has less; a role that includes it gives its permissions with the same demand. */
permission_set policy_role_permissions(const struct policy *policy, const char *role, enum proof proof);
permission_set policy_identity_permissions(const struct policy *policy, const struct identity *identity,
                                           enum proof proof);
/* The least proof with which the role gives this permission; PROOF_COUNT: it never does. */
enum proof policy_role_wants(const struct policy *policy, const char *role, enum permission p);

/* Decides; identity may be NULL (nobody). Never fails: what is not granted is denied. decision->id is left empty. */
void policy_decide(const struct policy *policy, const struct identity *identity, enum proof proof,
                   enum permission needed, struct decision *ret_decision, struct scope *ret_scope);
/* Names of the roles that grant a permission, if need be with a certificate, separated by spaces, appended to out. */
void policy_roles_granting(const struct policy *policy, enum permission p, struct text *out);

size_t policy_role_count(const struct policy *policy);
const char *policy_role_name(const struct policy *policy, size_t index); /* in the file's order */
enum proof policy_role_requires(const struct policy *policy, size_t index,
                                unsigned *ret_line);    /* as its `require` says */
const char *policy_digest(const struct policy *policy); /* hex SHA-256 of the file as read */

#endif
