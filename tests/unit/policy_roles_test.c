/* Reading roles files: what is right is read, what is wrong is refused with its line and a remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/policy.h"

static bool parse(const char *yaml, struct policy **policy, struct fault *fault)
{
    /* exactly as long as it is, so that a read behind its end is seen */
    size_t len = strlen(yaml);
    own(freep) char *copy = xmalloc(len + (len == 0));
    memcpy(copy, yaml, len);
    return policy_parse((struct span){copy, len}, "r.yaml", policy, fault);
}

static void expect_permissions(const char *yaml, const char *role, permission_set permissions)
{
    struct policy *policy = NULL;
    struct fault fault = {0};

    if (!parse(yaml, &policy, &fault))
        fail_msg("refused: %s\n%s", fault.message, yaml);
    assert_true(policy_role_permissions(policy, role, PROOF_TOKEN) == permissions);
    policy_unref(policy);
}

static void test_good_files(void **state)
{
    const permission_set read = PERMISSION_BIT(TASKS_READ), create = PERMISSION_BIT(TASKS_CREATE);

    expect_permissions("version: 1\nroles:\n  A: {permissions: [tasks:read]}\n", "A", read);
    expect_permissions("roles: {A: {permissions: [\"tasks:read\", 'tasks:create']}}\nversion: \"1\"", "A",
                       read | create);
    expect_permissions("{\"version\": 1, \"roles\": {\"A\": {\"permissions\": [\"tasks:read\"]}}}", "A", read);
    expect_permissions("%YAML 1.2\n---\nversion: 1\nroles:\n  a.b:c-d_9:\n    description: >-\n      two\n      lines\n"
                       "    permissions:\n    - tasks:read\n...\n",
                       "a.b:c-d_9", read);
    expect_permissions("\xef\xbb\xbfversion: 1\nroles: {A: {permissions: [tasks:read]}}", "A", read);
    expect_permissions("version: 1\r\nroles:\r\n  A:\r\n    permissions: [tasks:read]\r\n", "A", read);
    /* a role may come before those that it includes, and through several ways */
    expect_permissions(
        "version: 1\nroles:\n  D: {includes: [B, C]}\n  B: {includes: [A]}\n  C: {includes: [A], permissions: "
        "[tasks:create]}\n  A: {permissions: [tasks:read]}\n",
        "D", read | create);
    expect_permissions("version: 1\nroles: {A: {permissions: [tasks:read]}, a: {permissions: [tasks:create]}}", "a",
                       create);
    expect_permissions("version: 1\nroles: {A: {permissions: [tasks:read]}}", "B", 0);
    expect_permissions("version: 1\nroles: {A: {permissions: [tasks:read]}}", "", 0);
}

static void test_a_star_is_every_real_permission(void **state)
{
    permission_set all = 0;

    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++)
        all |= PERMISSION_BIT(p);
    expect_permissions("version: 1\nroles: {A: {permissions: [\"*\"]}}", "A", all);
}

#define HEAD "version: 1\nroles:\n"
#define GOOD "  A: {permissions: [tasks:read]}\n"

static void test_bad_files(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"", "r.yaml:1: the file is empty."},
        {"# nothing\n", "r.yaml:2: the file must be a map with version and roles."},
        {"hello", "r.yaml:1: the file must be a map with version and roles."},
        {"- a\n", "r.yaml:1: the file must be a map with version and roles."},
        {"roles: {A: {permissions: [tasks:read]}}", "r.yaml:1: the key version is missing."},
        {"version: 1\n", "r.yaml:1: the key roles is missing."},
        {"version: 2\nroles: {}", "r.yaml:1: version must be 1."},
        {"version: [1]\n", "r.yaml:1: version must be 1."},
        {"version: 1\nversion: 1\n", "r.yaml:2: version stands here a second time; keep one."},
        {"version: 1\nroles: {}\n", "r.yaml:2: no role is defined; nobody could do anything."},
        {"version: 1\nroles:\n", "r.yaml:2: roles must be a map of role names."},
        {"version: 1\nroles: [A]\n", "r.yaml:2: roles must be a map of role names."},
        {"version: 1\nrolls: {}\n", "r.yaml:2: unknown key rolls; did you mean roles?"},
        {"version: 1\nsomething: {}\n", "r.yaml:2: unknown key something; take it away."},
        {"version: 1\n[a]: 1\n", "r.yaml:2: a key must be a word."},
        {HEAD GOOD "  A: {permissions: [tasks:read]}\n",
         "r.yaml:4: role A is defined twice; it stands in line 3 already."},
        {HEAD GOOD "roles: {B: {permissions: [tasks:read]}}", "r.yaml:4: roles stands here a second time; keep one."},
        {HEAD "  A:\n", "r.yaml:3: a role must be a map with description, includes and permissions."},
        {HEAD "  A: {}\n", "r.yaml:3: role A grants nothing; give it permissions or includes."},
        {HEAD "  A: {description: x, permissions: [], includes: []}\n",
         "r.yaml:3: role A grants nothing; give it permissions or includes."},
        {HEAD "  \"A B\": {permissions: [tasks:read]}\n",
         "r.yaml:3: a role's name has 1 to 64 of the characters A-Z a-z 0-9 _ . : -"},
        {HEAD "  \"\": {permissions: [tasks:read]}\n",
         "r.yaml:3: a role's name has 1 to 64 of the characters A-Z a-z 0-9 _ . : -"},
        {HEAD "  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {}\n",
         "r.yaml:3: a role's name has 1 to 64 of the characters A-Z a-z 0-9 _ . : -"},
        {HEAD "  A:\n    permission: [tasks:read]\n", "r.yaml:4: unknown key permission; did you mean permissions?"},
        {HEAD "  A:\n    permissions: tasks:read\n", "r.yaml:4: permissions must be a list, such as [tasks:read]."},
        {HEAD "  A:\n    permissions:\n    - tasks:reed\n",
         "r.yaml:5: role A: unknown permission tasks:reed; did you mean tasks:read?"},
        {HEAD "  A: {permissions: [zzzzzzzzzzzzzzzz]}\n", "r.yaml:3: role A: unknown permission zzzzzzzzzzzzzzzz; "
                                                          "`bailiff policy permissions` lists all there are."},
        {HEAD "  A: {permissions: [\"a\\e[31m\\n\"]}\n", "r.yaml:3: role A: unknown permission a?[31m?; "
                                                         "`bailiff policy permissions` lists all there are."},
        {HEAD "  A: {permissions: [none]}\n",
         "r.yaml:3: role A: unknown permission none; `bailiff policy permissions` lists all there are."},
        {HEAD "  A: {permissions: [public]}\n",
         "r.yaml:3: role A: unknown permission public; `bailiff policy permissions` lists all there are."},
        {HEAD "  A: {permissions: [any]}\n",
         "r.yaml:3: role A: unknown permission any; `bailiff policy permissions` lists all there are."},
        {HEAD "  A: {permissions: [[tasks:read]]}\n", "r.yaml:3: role A: a permission must be a word."},
        {HEAD "  A: {permissions: [tasks:read, jobs:read, tasks:read]}\n",
         "r.yaml:3: role A: tasks:read stands here a second time; keep one."},
        {HEAD "  A: {permissions: [tasks:read, \"*\"]}\n",
         "r.yaml:3: \"*\" is every permission and stands alone; take the others away."},
        {HEAD "  A: {permissions: [\"*\", tasks:read]}\n",
         "r.yaml:3: \"*\" is every permission and stands alone; take the others away."},
        {HEAD "  A: {permissions: [\"*\", \"*\"]}\n",
         "r.yaml:3: \"*\" is every permission and stands alone; take the others away."},
        {HEAD "  A: {includes: B}\n", "r.yaml:3: includes must be a list of roles, such as [TAIPY_READER]."},
        {HEAD "  A: {includes: [{B: 1}]}\n", "r.yaml:3: role A: includes must name roles."},
        {HEAD "  A: {includes: [\"*\"]}\n", "r.yaml:3: role A: includes must name roles."},
        {HEAD GOOD "  B: {includes: [A, A]}\n", "r.yaml:4: role B: A is included a second time; keep one."},
        {HEAD "  READER: {permissions: [tasks:read]}\n  B:\n    includes: [REEDER]\n",
         "r.yaml:5: role B includes REEDER, which is not defined; did you mean READER?"},
        {HEAD GOOD "  B: {includes: [NOBODY]}\n", "r.yaml:4: role B includes NOBODY, which is not defined."},
        {HEAD "  A: {includes: [A]}\n", "r.yaml:3: role A includes itself; take that away."},
        {HEAD "  A: {includes: [B]}\n  B: {includes: [C]}\n  C: {includes: [A]}\n",
         "r.yaml:5: role C includes A, which includes C in turn; take one of the two away."},
        {HEAD "  A:\n    permissions: [tasks:read]\n    require: client_certificat\n",
         "r.yaml:5: role A: require: client_certificat is not known; did you mean client_certificate?"},
        {HEAD "  A: {permissions: [tasks:read], require: token}\n",
         "r.yaml:3: role A: require: token is not known; there are client_certificate and certificate_bound_token."},
        {HEAD "  A: {permissions: [tasks:read], require: [client_certificate]}\n",
         "r.yaml:3: require must be client_certificate or certificate_bound_token."},
        {HEAD "  A: {permissions: [tasks:read], require:}\n",
         "r.yaml:3: role A: require:  is not known; there are client_certificate and certificate_bound_token."},
        {HEAD "  A: {require: client_certificate, require: client_certificate}\n",
         "r.yaml:3: require stands here a second time; keep one."},
        {HEAD "  A: {require: client_certificate}\n",
         "r.yaml:3: role A grants nothing; give it permissions or includes."},
        {HEAD "  A: {description: [x], permissions: [tasks:read]}\n", "r.yaml:3: description must be text."},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy *policy = NULL;
        struct fault fault = {0};
        if (parse(cases[i].yaml, &policy, &fault))
            fail_msg("taken: %s", cases[i].yaml);
        assert_null(policy);
        assert_int_equal(fault.kind, FAULT_INVALID);
        assert_string_equal(fault.message, cases[i].message);
    }
}

static void test_limits(void **state)
{
    own(text_done) struct text yaml = {0};
    struct policy *policy = NULL;
    struct fault fault = {0};

    text_append_str(&yaml, HEAD);
    for (unsigned i = 0; i < 255; i++) /* the longest chain of includes */
        text_printf(&yaml, "  R%u: {includes: [R%u]}\n", i, i + 1);
    text_append_str(&yaml, "  R255: {permissions: [tasks:read]}\n");
    assert_true(policy_parse(text_span(&yaml), "r.yaml", &policy, &fault));
    assert_int_equal(policy_role_count(policy), 256);
    assert_true(policy_role_permissions(policy, "R0", PROOF_TOKEN) == PERMISSION_BIT(TASKS_READ));
    policy_unref(policy);
    text_append_str(&yaml, "  X: {permissions: [tasks:read]}\n");
    assert_false(policy_parse(text_span(&yaml), "r.yaml", &policy, &fault));
    assert_string_equal(fault.message, "r.yaml:259: more than 256 roles.");

    text_clear(&yaml);
    while (yaml.len <= MIB(1))
        text_append_str(&yaml, "# a comment that goes on and on\n");
    fault = (struct fault){0};
    assert_false(policy_parse(text_span(&yaml), "r.yaml", &policy, &fault));
    assert_string_equal(fault.message, "r.yaml: a roles file has at most 1048576 bytes.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_a_star_is_every_real_permission),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
