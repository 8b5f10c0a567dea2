/* Decisions, and the roles that we ship. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/policy.h"

static struct policy *shipped(void)
{
    struct policy *policy = NULL;
    struct fault fault = {0};

    if (!policy_load("policies/roles.yaml", &policy, &fault))
        fail_msg("%s", fault.message);
    return policy;
}

static struct decision decide(const struct policy *policy, const struct identity *identity, unsigned needed,
                              bool allowed)
{
    struct decision decision;
    struct scope scope = {.everything = !allowed};

    memset(&decision, 0xa5, sizeof(decision));
    policy_decide(policy, identity, PROOF_TOKEN, (enum permission)needed, &decision, &scope);
    assert_int_equal(decision.allowed, allowed);
    assert_int_equal(scope.everything, allowed);
    assert_int_equal(decision.permission, needed);
    assert_string_equal(decision.id, "");
    return decision;
}

static void test_the_shipped_roles(void **state)
{
    static const struct {
        const char *role, *permissions;
    } cases[] = {
        {"TAIPY_READER", "tasks:read jobs:read submissions:read datanodes:read configs:read "},
        {"TAIPY_EDITOR", "tasks:read tasks:create tasks:delete jobs:read jobs:create jobs:delete submissions:read "
                         "datanodes:read configs:read "},
        {"TAIPY_EXECUTOR",
         "tasks:read tasks:submit jobs:read jobs:submit jobs:cancel queue:read submissions:read datanodes:read "
         "configs:read "},
    };
    struct policy *policy = shipped();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(text_done) struct text names = {0};
        for (unsigned p = 0; p < PERM_COUNT; p++)
            if (policy_role_permissions(policy, cases[i].role, PROOF_TOKEN) & PERMISSION_BIT(p))
                text_printf(&names, "%s ", permission_name((enum permission)p));
        assert_string_equal(names.data, cases[i].permissions);
    }
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++)
        assert_true(policy_role_permissions(policy, "TAIPY_ADMIN", PROOF_TOKEN) & PERMISSION_BIT(p));
    assert_int_equal(policy_role_count(policy), 4);
    assert_string_equal(policy_role_name(policy, 0), "TAIPY_READER");
    assert_string_equal(policy_role_name(policy, 3), "TAIPY_ADMIN");
    assert_null(policy_role_name(policy, 4));
    policy_unref(policy);
}

static void test_who_may_what(void **state)
{
    struct policy *policy = shipped();
    char *reader_names[] = {(char *)"TAIPY_READER", (char *)"UNKNOWN"}, *admin_names[] = {(char *)"TAIPY_ADMIN"};
    char *both_names[] = {(char *)"TAIPY_EDITOR", (char *)"TAIPY_EXECUTOR"};
    const struct identity reader = {.roles = reader_names, .role_count = 2}, nothing = {0};
    const struct identity admin = {.roles = admin_names, .role_count = 1},
                          both = {.roles = both_names, .role_count = 2};
    struct decision d;

    assert_string_equal(decide(policy, NULL, PERM_PUBLIC, true).reason, "public");
    assert_string_equal(decide(policy, &admin, PERM_PUBLIC, true).reason, "public");
    assert_string_equal(decide(policy, NULL, PERM_ANY, false).reason, "not authenticated");
    assert_string_equal(decide(policy, &nothing, PERM_ANY, true).reason, "authenticated");
    d = decide(policy, &reader, TASKS_READ, true);
    assert_string_equal(d.reason, "granted");
    assert_string_equal(d.role, "TAIPY_READER");
    assert_ptr_equal(d.role, policy_role_name(policy, 0)); /* the snapshot's, not the caller's */
    d = decide(policy, &reader, TASKS_CREATE, false);
    assert_string_equal(d.reason, "no role grants it");
    assert_null(d.role);
    decide(policy, &nothing, TASKS_READ, false);
    decide(policy, NULL, TASKS_READ, false);
    assert_string_equal(decide(policy, &both, TASKS_SUBMIT, true).role, "TAIPY_EXECUTOR");
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++)
        decide(policy, &admin, p, true);
    policy_unref(policy);
}

static void test_what_nobody_may(void **state)
{
    struct policy *policy = shipped();
    char *admin_names[] = {(char *)"TAIPY_ADMIN"};
    const struct identity admin = {.roles = admin_names, .role_count = 1};
    static const unsigned beyond[] = {PERM_NONE, PERM_COUNT, 63, 64, 65, 1000, 0x80000000u, 0xffffffffu};

    for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
        assert_string_equal(decide(policy, &admin, beyond[i], false).reason, "nobody may do this");
        decide(policy, NULL, beyond[i], false);
    }
    policy_unref(policy);
}

static void test_names_are_compared_whole(void **state)
{
    struct policy *policy = shipped();
    static const char *const others[] = {"taipy_admin", "TAIPY_ADMI", "TAIPY_ADMIN ", "TAIPY_ADMIN2", "", "*", "ADMIN"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_true(policy_role_permissions(policy, others[i], PROOF_TOKEN) == 0);
    policy_unref(policy);
}

static void test_permissions_of_an_identity(void **state)
{
    struct policy *policy = shipped();
    char *names[] = {(char *)"NOBODY", (char *)"TAIPY_EDITOR", (char *)"TAIPY_EXECUTOR"};
    const struct identity identity = {.roles = names, .role_count = 3};

    assert_true(policy_identity_permissions(policy, &identity, PROOF_TOKEN) ==
                (policy_role_permissions(policy, "TAIPY_EDITOR", PROOF_TOKEN) |
                 policy_role_permissions(policy, "TAIPY_EXECUTOR", PROOF_TOKEN)));
    assert_true(policy_identity_permissions(policy, NULL, PROOF_TOKEN) == 0);
    policy_unref(policy);
}

static void test_who_would_have_granted(void **state)
{
    struct policy *policy = shipped();
    own(text_done) struct text names = {0};

    policy_roles_granting(policy, TASKS_SUBMIT, &names);
    assert_string_equal(names.data, "TAIPY_EXECUTOR TAIPY_ADMIN");
    text_clear(&names);
    policy_roles_granting(policy, PERM_NONE, &names);
    policy_roles_granting(policy, PERM_ANY, &names);
    policy_roles_granting(policy, PERM_COUNT, &names);
    assert_int_equal(names.len, 0);
    policy_unref(policy);
}

static void test_the_digest_is_of_the_bytes(void **state)
{
    static const char yaml[] = "version: 1\nroles: {A: {permissions: [tasks:read]}}\n";
    struct policy *policy = NULL;
    struct fault fault = {0};

    assert_true(policy_parse((struct span){yaml, sizeof(yaml) - 1}, "r.yaml", &policy, &fault));
    assert_string_equal(policy_digest(policy), "00b7b0f3eb43f168997f11765b84b9484aa3a3057f81085069e164094554a8ef");
    assert_ptr_equal(policy_ref(policy), policy);
    policy_unref(policy);
    assert_int_equal(policy_role_count(policy), 1);
    policy_unref(policy);
    policy_unref(NULL);
}

static void test_a_file_that_is_not_there(void **state)
{
    struct policy *policy = NULL;
    struct fault fault = {0};

    assert_false(policy_load("policies/no-such-file.yaml", &policy, &fault));
    assert_null(policy);
    assert_non_null(strstr(fault.message, "no-such-file.yaml"));
}

/* ---- roles that ask for more than a token ---- */

static struct policy *of(const char *yaml)
{
    struct policy *policy = NULL;
    struct fault fault = {0};

    if (!policy_parse(span_of(yaml), "r.yaml", &policy, &fault))
        fail_msg("%s", fault.message);
    return policy;
}

static const char DEMANDING[] =
    "version: 1\n"
    "roles:\n"
    "  READER: {permissions: [tasks:read]}\n"
    "  CERTIFIED: {require: client_certificate, includes: [READER], permissions: [tasks:create]}\n"
    "  BOUND: {require: certificate_bound_token, permissions: [tasks:delete]}\n"
    "  ALL: {includes: [CERTIFIED, BOUND], permissions: [jobs:read]}\n"
    "  STRICT: {require: certificate_bound_token, includes: [CERTIFIED]}\n";

static void test_what_a_role_gives_for_how_much_proof(void **state)
{
    static const struct {
        const char *role, *given[PROOF_COUNT];
    } cases[] = {
        {"READER", {"tasks:read ", "tasks:read ", "tasks:read "}},
        {"CERTIFIED", {"", "tasks:read tasks:create ", "tasks:read tasks:create "}},
        {"BOUND", {"", "", "tasks:delete "}},
        /* What is included keeps its demand, whoever includes it. */
        {"ALL",
         {"jobs:read ", "tasks:read tasks:create jobs:read ", "tasks:read tasks:create tasks:delete jobs:read "}},
        {"STRICT", {"", "", "tasks:read tasks:create "}},
        {"UNKNOWN", {"", "", ""}},
    };
    struct policy *policy = of(DEMANDING);
    unsigned line = 0;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (unsigned proof = 0; proof < PROOF_COUNT; proof++) {
            own(text_done) struct text names = {0};
            text_append_str(&names, "");
            for (unsigned p = 0; p < PERM_COUNT; p++)
                if (policy_role_permissions(policy, cases[i].role, (enum proof)proof) & PERMISSION_BIT(p))
                    text_printf(&names, "%s ", permission_name((enum permission)p));
            assert_string_equal(names.data ? names.data : "", cases[i].given[proof]);
        }
    }
    assert_true(policy_role_permissions(policy, "READER", PROOF_COUNT) == 0);
    assert_int_equal(policy_role_wants(policy, "ALL", TASKS_DELETE), PROOF_BOUND_TOKEN);
    assert_int_equal(policy_role_wants(policy, "ALL", JOBS_READ), PROOF_TOKEN);
    assert_int_equal(policy_role_wants(policy, "ALL", JOBS_CANCEL), PROOF_COUNT);
    assert_int_equal(policy_role_wants(policy, "UNKNOWN", TASKS_READ), PROOF_COUNT);
    assert_int_equal(policy_role_requires(policy, 0, &line), PROOF_TOKEN);
    assert_int_equal(policy_role_requires(policy, 2, &line), PROOF_BOUND_TOKEN);
    assert_int_equal(line, 5);
    policy_unref(policy);
}

static struct decision decide_with(const struct policy *policy, const char *const *roles, size_t count,
                                   enum proof proof, enum permission needed)
{
    const struct identity identity = {.roles = (char **)roles, .role_count = count};
    struct decision decision;
    struct scope scope;

    policy_decide(policy, &identity, proof, needed, &decision, &scope);
    assert_int_equal(scope.everything, decision.allowed);
    return decision;
}

static void test_a_refusal_says_what_is_wanting(void **state)
{
    struct policy *policy = of(DEMANDING);
    const char *const both[] = {"BOUND", "CERTIFIED"}, *const all[] = {"ALL", "STRICT"}, *const read[] = {"READER"};
    struct decision d = decide_with(policy, both, 2, PROOF_TOKEN, TASKS_CREATE);

    assert_false(d.allowed);
    assert_int_equal(d.wanting, PROOF_CERTIFICATE);
    assert_string_equal(d.role, "CERTIFIED");
    assert_string_equal(d.reason, "the role needs a client certificate");
    d = decide_with(policy, both, 2, PROOF_CERTIFICATE, TASKS_CREATE);
    assert_true(d.allowed);
    assert_int_equal(d.wanting, PROOF_TOKEN);
    assert_string_equal(d.reason, "granted");
    d = decide_with(policy, both, 2, PROOF_CERTIFICATE, TASKS_DELETE);
    assert_false(d.allowed);
    assert_int_equal(d.wanting, PROOF_BOUND_TOKEN);
    assert_string_equal(d.reason, "the role needs a token bound to the client certificate");
    assert_true(decide_with(policy, both, 2, PROOF_BOUND_TOKEN, TASKS_DELETE).allowed);
    assert_true(decide_with(policy, both, 2, PROOF_BOUND_TOKEN, TASKS_CREATE).allowed); /* more is never less */
    /* The role that wants the least is named; and one that gives it anyway comes first. */
    d = decide_with(policy, all, 2, PROOF_TOKEN, TASKS_CREATE);
    assert_string_equal(d.role, "ALL");
    assert_int_equal(d.wanting, PROOF_CERTIFICATE);
    d = decide_with(policy, read, 1, PROOF_TOKEN, TASKS_CREATE);
    assert_int_equal(d.wanting, PROOF_TOKEN);
    assert_null(d.role);
    assert_string_equal(d.reason, "no role grants it");
    assert_false(decide_with(policy, both, 2, PROOF_BOUND_TOKEN, PERM_NONE).allowed);
    own(text_done) struct text names = {0};
    policy_roles_granting(policy, TASKS_DELETE, &names);
    assert_string_equal(names.data, "BOUND ALL");
    policy_unref(policy);
}

static void test_how_much_was_proved(void **state)
{
    const struct certificate certificate = {.digest = {0}};
    const struct identity plain = {0}, bound = {.bound = true};

    assert_int_equal(proof_of(&plain, NULL), PROOF_TOKEN);
    assert_int_equal(proof_of(&plain, &certificate), PROOF_CERTIFICATE);
    assert_int_equal(proof_of(NULL, &certificate), PROOF_CERTIFICATE);
    assert_int_equal(proof_of(&bound, &certificate), PROOF_BOUND_TOKEN);
    assert_int_equal(proof_of(&bound, NULL), PROOF_TOKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_shipped_roles),
        cmocka_unit_test(test_who_may_what),
        cmocka_unit_test(test_what_nobody_may),
        cmocka_unit_test(test_names_are_compared_whole),
        cmocka_unit_test(test_permissions_of_an_identity),
        cmocka_unit_test(test_who_would_have_granted),
        cmocka_unit_test(test_the_digest_is_of_the_bytes),
        cmocka_unit_test(test_a_file_that_is_not_there),
        cmocka_unit_test(test_what_a_role_gives_for_how_much_proof),
        cmocka_unit_test(test_a_refusal_says_what_is_wanting),
        cmocka_unit_test(test_how_much_was_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
