#include "app/commands.h"

#include "app/command.h"
#include "app/problems.h"

static const struct command *const COMMANDS[] = {
    &COMMAND_SERVE,
    &COMMAND_CHECK_CONFIG,
    &COMMAND_TOKEN_ISSUE,
    &COMMAND_TOKEN_KEYGEN,
    &COMMAND_TOKEN_REVOKE,
    &COMMAND_TOKEN_REVOCATIONS,
    &COMMAND_POLICY_MATRIX,
    &COMMAND_POLICY_PERMISSIONS,
    &COMMAND_AUDIT_VERIFY,
    &COMMAND_RUNNER,
    &COMMAND_KEEPER,
    &COMMAND_TASKS_LIST,
    &COMMAND_TASKS_SHOW,
    &COMMAND_TASKS_CREATE,
    &COMMAND_TASKS_SUBMIT,
    &COMMAND_TASKS_DELETE,
    &COMMAND_JOBS_LIST,
    &COMMAND_JOBS_SHOW,
    &COMMAND_JOBS_LOG,
    &COMMAND_JOBS_EVENTS,
    &COMMAND_JOBS_CREATE,
    &COMMAND_JOBS_SUBMIT,
    &COMMAND_JOBS_CANCEL,
    &COMMAND_JOBS_DELETE,
    &COMMAND_SUBMISSIONS_LIST,
    &COMMAND_SUBMISSIONS_SHOW,
    &COMMAND_QUEUE_STATUS,
    &COMMAND_QUEUE_PAUSE,
    &COMMAND_QUEUE_RESUME,
};

/* ---- help ---- */
static void print_group(FILE *out, const char *title, bool client)
{
    fprintf(out, "%s\n", title);
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (COMMANDS[i]->client == client)
            fprintf(out, "  %-20s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
}

static void print_help(FILE *out)
{
    fprintf(out,
            "bailiff %s: serves the Taipy REST API to an enterprise\n\n"
            "usage: bailiff COMMAND [OPTION]...\n\n",
            BAILIFF_VERSION);
    print_group(out, "on the server's machine:", false);
    print_group(out, "\nanywhere, through the API of a running server:", true);
    fputs("\n  help [COMMAND]       explains a command\n\n"
          "exit status: 0 done; 1 failed, or what was checked is not good; 2 the command line is wrong;\n"
          "3 the configuration is wrong. Through the API: 3 the token is not good, or lacks the permission;\n"
          "4 there is no such thing; 5 the job did not end well; 6 it had not ended when the time was over\n",
          out);
}

static char *option_text(const struct command_option *o)
{
    return xprintf("--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
}

static void print_options(const struct command *c, FILE *out)
{
    size_t width = 19;

    for (size_t i = 0; i < c->option_count; i++) {
        own(freep) char *text = option_text(&c->options[i]);

        width = MAX(width, strlen(text));
    }
    for (size_t i = 0; i < c->option_count; i++) {
        own(freep) char *text = option_text(&c->options[i]);

        fprintf(out, "%s  %-*s  %s\n", i == 0 ? "\noptions:\n" : "", (int)width, text, c->options[i].help);
    }
}

static void print_usage(const struct command *c, FILE *out)
{
    enum { WIDTH = 120 };
    own(text_done) struct text line = {0};

    text_printf(&line, "usage: bailiff %s", c->name);
    if (c->operand)
        text_printf(&line, c->operand_optional ? " [%s]" : " %s", c->operand);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct command_option *o = &c->options[i];
        own(freep) char *word = xprintf(" %s--%s%s%s%s%s", o->required ? "" : "[", o->name, o->value ? " " : "",
                                        o->value ? o->value : "", o->required ? "" : "]", o->repeats ? "..." : "");

        if (line.len + strlen(word) > WIDTH) {
            fprintf(out, "%s\n", line.data);
            text_clear(&line);
            text_append_str(&line, "        ");
        }
        text_append_str(&line, word);
    }
    fprintf(out, "%s\n", line.data);
}

static void print_command_help(const struct command *c, FILE *out)
{
    fprintf(out, "bailiff %s: %s\n\n", c->name, c->summary);
    print_usage(c, out);
    fprintf(out, "\n%s", c->about);
    if (c->client)
        fputs("Exit status: 0 done, 1 failed, 2 the command line or the profile is wrong, 3 the token is not good or "
              "lacks\n"
              "the permission, 4 there is no such thing, 5 the job did not end well, 6 it had not ended in time.\n",
              out);
    print_options(c, out);
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
