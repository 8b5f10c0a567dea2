#include "app/commands.h"

#include "app/command.h"
#include "app/problems.h"

static const struct command *const COMMANDS[] = {
    &COMMAND_SERVE,         &COMMAND_CHECK_CONFIG,
    &COMMAND_TOKEN_ISSUE,   &COMMAND_TOKEN_KEYGEN,
    &COMMAND_TOKEN_REVOKE,  &COMMAND_TOKEN_REVOCATIONS,
    &COMMAND_POLICY_MATRIX, &COMMAND_POLICY_PERMISSIONS,
    &COMMAND_AUDIT_VERIFY,  &COMMAND_RUNNER,
    &COMMAND_KEEPER,
};

/* ---- help ---- */
static void print_help(FILE *out)
{
    fprintf(out,
            "bailiff %s: serves the Taipy REST API to an enterprise\n\n"
            "usage: bailiff COMMAND [OPTION]...\n\ncommands:\n",
            BAILIFF_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        fprintf(out, "  %-20s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
    fputs("  help [COMMAND]       explains a command\n\n"
          "exit status: 0 done; 1 failed, or what was checked is not good; 2 the command line is wrong;\n"
          "3 the configuration is wrong\n",
          out);
}

static void print_command_help(const struct command *c, FILE *out)
{
    fprintf(out, "bailiff %s: %s\n\nusage: bailiff %s", c->name, c->summary, c->name);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct command_option *o = &c->options[i];

        fprintf(out, " %s--%s%s%s%s%s", o->required ? "" : "[", o->name, o->value ? " " : "", o->value ? o->value : "",
                o->required ? "" : "]", o->repeats ? "..." : "");
    }
    fprintf(out, "\n\n%s", c->about);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct command_option *o = &c->options[i];
        own(freep) char *name = xprintf("--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");

        fprintf(out, "%s  %-20s %s\n", i == 0 ? "\noptions:\n" : "", name, o->help);
    }
}

/* ---- finding ---- */
/* How many words name the command; 0: these words do not. */
static int command_words(const struct command *c, int argc, char **argv)
{
    const char *blank = strchr(c->name, ' ');
    size_t first = blank ? (size_t)(blank - c->name) : strlen(c->name);

    if (argc < 1 || strlen(argv[0]) != first || strncmp(argv[0], c->name, first) != 0)
        return 0;
    if (!blank)
        return 1;
    return argc > 1 && strcmp(argv[1], blank + 1) == 0 ? 2 : 0;
}

static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
        int words = command_words(COMMANDS[i], argc, argv);

        if (words > 0) {
            *ret_words = words;
            return COMMANDS[i];
        }
    }
    return NULL;
}

/* "token" and its like: groups of commands with two words. */
static bool in_group(const struct command *c, const char *word)
{
    size_t len = strlen(word);

    return strncmp(c->name, word, len) == 0 && c->name[len] == ' ';
}

static const char *nearest_command(const char *first, const char *second)
{
    const char *names[2 * ARRAY_LEN(COMMANDS)], *near;
    own(freep) char *whole = xprintf("%s %s", first, second);
    char groups[ARRAY_LEN(COMMANDS)][32];

    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
        names[i] = COMMANDS[i]->name;
        snprintf(groups[i], sizeof(groups[i]), "%.*s", (int)strcspn(names[i], " "), names[i]);
        names[ARRAY_LEN(COMMANDS) + i] = groups[i];
    }
    near = text_nearest(whole, names, ARRAY_LEN(COMMANDS));
    near = near ? near : text_nearest(first, names, ARRAY_LEN(names));
    for (size_t i = 0; near && i < ARRAY_LEN(COMMANDS); i++) /* a string that outlives this call */
        if (strcmp(near, names[i]) == 0 || strcmp(near, groups[i]) == 0)
            return strcmp(near, names[i]) == 0 ? names[i] : COMMANDS[i]->name;
    return NULL;
}

static int unknown_command(int argc, char **argv, FILE *err)
{
    const char *second = argc > 1 && argv[1][0] != '-' ? argv[1] : "", *near;
    own(text_done) struct text group = {0};

    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (in_group(COMMANDS[i], argv[0]))
            text_printf(&group, "%s%s", group.len > 0 ? ", " : "", COMMANDS[i]->name);
    if (group.len > 0 && !second[0]) {
        fprintf(err, "bailiff: \"%s\" needs a second word; there are: %s.\n", argv[0], group.data);
        return STATUS_USAGE;
    }
    near = nearest_command(argv[0], second);
    fputs("bailiff: there is no command \"", err);
    print_harmless(err, argv[0]);
    fputs(group.len > 0 ? " " : "", err);
    print_harmless(err, group.len > 0 ? second : "");
    if (near)
        fprintf(err, "\"; did you mean \"%s\"? See: bailiff help\n", near);
    else
        fputs("\". See: bailiff help\n", err);
    return STATUS_USAGE;
}

static int run_help(int argc, char **argv, FILE *out, FILE *err)
{
    const struct command *command;
    int words;

    if (argc == 0) {
        print_help(out);
        return STATUS_OK;
    }
    command = find_command(argc, argv, &words);
    if (!command)
        return unknown_command(argc, argv, err);
    print_command_help(command, out);
    return STATUS_OK;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int commands_run_to(int argc, char **argv, FILE *out, FILE *err)
{
    struct call call = {.out = out, .err = err};
    int words = 0, status = STATUS_USAGE;

    if (argc < 2) {
        print_help(err);
        return STATUS_USAGE;
    }
    argc--;
    argv++;
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
        fprintf(out, "bailiff %s\n", BAILIFF_VERSION);
        return STATUS_OK;
    }
    if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return run_help(argc - 1, argv + 1, out, err);
    call.command = find_command(argc, argv, &words);
    if (!call.command)
        return unknown_command(argc, argv, err);
    if (asks_for_help(argc - words, argv + words)) {
        print_command_help(call.command, out);
        return STATUS_OK;
    }
    if (call_parse(&call, argc - words, argv + words))
        status = call.command->run(&call);
    call_done(&call);
    return status;
}

int commands_run(int argc, char **argv)
{
    int status = commands_run_to(argc, argv, stdout, stderr);

    /* An answer that did not arrive is a failure: a full disk must not look like an empty token. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_OK) {
        fputs("bailiff: the output could not be written.\n", stderr);
        return STATUS_FAILED;
    }
    return status;
}
