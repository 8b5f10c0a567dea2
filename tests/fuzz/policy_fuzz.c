/* Roles files: what is taken grants real permissions only; what is refused says "file:line: ". */
#include "bailiff/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses a buffer when a scalar has many quotes in quotes. Leaks of ours show in the unit tests, which suppress nothing. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *policy = NULL;
    struct fault fault = {0};
    struct decision decision;
    struct scope scope;

    if (!policy_parse((struct span){(const char *)data, size}, "f", &policy, &fault)) {
        if (policy || fault.kind != FAULT_INVALID || strncmp(fault.message, "f:", 2) != 0)
            abort();
        return 0;
    }
    for (size_t i = 0; i < policy_role_count(policy); i++) {
        char *name = (char *)policy_role_name(policy, i);
        const struct identity identity = {.roles = &name, .role_count = 1};
        permission_set before = 0;
        for (unsigned proof = 0; proof < PROOF_COUNT; proof++) {
            permission_set granted = policy_role_permissions(policy, name, (enum proof)proof);
            if (granted & (PERMISSION_BIT(PERM_ANY + 1) - 1) || granted >> PERM_COUNT || (before & ~granted))
                abort();
            before = granted;
            for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++) {
                policy_decide(policy, &identity, (enum proof)proof, (enum permission)p, &decision, &scope);
                if (decision.allowed != ((granted >> p & 1) != 0) || scope.everything != decision.allowed ||
                    (decision.allowed && decision.wanting != PROOF_TOKEN) ||
                    (decision.wanting != PROOF_TOKEN && decision.wanting <= proof))
                    abort();
            }
            policy_decide(policy, &identity, (enum proof)proof, PERM_NONE, &decision, &scope);
            if (decision.allowed)
                abort();
        }
        if (!before)
            abort();
    }
    policy_unref(policy);
    return 0;
}
