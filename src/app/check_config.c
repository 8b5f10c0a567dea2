/* bailiff check-config: says everything that is wrong with a configuration. */
#include "app/command.h"
#include "app/config.h"
#include "app/manifest_yaml.h"

static void policy_unrefp(struct policy **policy)
{
    policy_unref(*policy);
}

static void verifier_unrefp(struct verifier **verifier)
{
    if (*verifier)
        verifier_unref(*verifier);
}

/* An application in our own form can be read here; a Taipy application only by its interpreter, which runs its code. */
static void check_application(const struct config *c, struct problems *problems, FILE *out)
{
    own(manifest_freep) struct manifest *manifest = NULL;
    struct problems own_problems;

    if (!c->application || !manifest_yaml_named(c->application))
        return;
    if (!manifest_yaml_read(c->application, NULL, config_same_user(c), &own_problems, &manifest))
        problems_print(&own_problems, out);
    problems->mistakes += own_problems.mistakes;
    problems_done(&own_problems);
}

static int run(struct call *call)
{
    struct problems problems;
    const char *path = config_path(call_value(call, "config"));
    own(config_freep) struct config *c = config_load(path, CONFIG_MACHINE, &problems);
    own(policy_unrefp) struct policy *policy = NULL;
    own(verifier_unrefp) struct verifier *verifier = NULL;
    own(text_done) struct text summary = {0}, printed = {0};
    FILE *report = call_has(call, "print") ? call->err : call->out;
    int status;

    if (c) {
        bool policy_good = config_load_policy(c, &problems, &policy);
        bool verifier_good = config_load_verifier(c, &problems, &verifier);

        (void)(policy_good && verifier_good); /* what is wrong with them is among the problems */
    }
    problems_print(&problems, report);
    if (c)
        check_application(c, &problems, report);
    problems_summary(&problems, &summary);
    status = problems.mistakes > 0 ? STATUS_FAILED : STATUS_OK;
    print_harmless(report, path);
    fprintf(report, ": %s%s%s\n", status == STATUS_OK ? "OK" : "", status == STATUS_OK && summary.len > 0 ? ", " : "",
            summary.len > 0 ? summary.data : "");
    if (status == STATUS_OK && call_has(call, "print")) {
        config_print(c, &printed);
        fputs(printed.data, call->out);
    }
    problems_done(&problems);
    return status;
}

static const struct command_option CHECK_OPTIONS[] = {
    CONFIG_OPTION,
    {"print", NULL, false, false, "print the settings in force, defaults included (the report goes to stderr)"},
};

const struct command COMMAND_CHECK_CONFIG = {
    .name = "check-config",
    .summary = "explains every mistake in the configuration",
    .about =
        "Reads the configuration as `bailiff serve` would, with the roles, keys and certificates that it names, and\n"
        "lists all mistakes (file, line, remedy). Nothing is started or changed. Run it as the server's user:\n"
        "    runuser -u bailiff -- bailiff check-config\n"
        "Exit status: 0 good, 1 not.\n",
    .options = CHECK_OPTIONS,
    .option_count = ARRAY_LEN(CHECK_OPTIONS),
    .run = run,
};
