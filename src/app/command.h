/* What a subcommand is made of. Private to app. Main thread. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include <stdio.h>

#include "bailiff/fault.h"
#include "bailiff/model.h"

enum exit_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1, /* it could not be done; or what was to be checked is not good */
    STATUS_USAGE = 2,  /* the command line is wrong */
    STATUS_CONFIG = 3, /* the configuration is wrong; nothing was begun */
};

struct command_option {
    const char *name;  /* without "--" */
    const char *value; /* what stands for its value in the help; NULL: it takes none */
    bool required, repeats;
    const char *help;
};

enum { OPTIONS_MAX = 12 };

struct call { /* a subcommand and what it was given */
    const struct command *command;
    struct id_list given[OPTIONS_MAX]; /* by the option's place in the command's table; one that takes no value: "" */
    struct arena arena;
    FILE *out, *err;
};

struct command {
    const char *name;    /* one word, or two: "token issue" */
    const char *summary; /* one line */
    const char *about;   /* more, for `bailiff help NAME`; ends with a newline */
    const struct command_option *options;
    size_t option_count;
    int (*run)(struct call *call);
};

const char *call_value(const struct call *call, const char *option); /* NULL: not given */
const struct id_list *call_values(const struct call *call, const char *option);
bool call_has(const struct call *call, const char *option);
must_check bool call_unsigned(struct call *call, const char *option, uint64_t max, uint64_t absent, uint64_t *ret);

/* "bailiff token issue: …" to err; each returns the status to exit with. */
int call_fail(struct call *call, enum exit_status status, const char *format, ...) printf_like(3, 4);
int call_fail_fault(struct call *call, enum exit_status status, const struct fault *fault);

/* Fills the call from the words behind the command's name. Complains on err. */
must_check bool call_parse(struct call *call, int argc, char **argv);
void call_done(struct call *call);

#define CONFIG_OPTION                                                                                              \
    {                                                                                                              \
        "config", "FILE", false, false, "the configuration (else $BAILIFF_CONFIG, else /etc/bailiff/bailiff.yaml)" \
    }

extern const struct command COMMAND_SERVE, COMMAND_CHECK_CONFIG, COMMAND_TOKEN_ISSUE, COMMAND_TOKEN_KEYGEN,
    COMMAND_TOKEN_REVOKE, COMMAND_TOKEN_REVOCATIONS, COMMAND_POLICY_MATRIX, COMMAND_POLICY_PERMISSIONS,
    COMMAND_AUDIT_VERIFY, COMMAND_RUNNER, COMMAND_KEEPER;

#endif
