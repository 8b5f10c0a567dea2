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
    /* Of the commands that are a server's clients: */
    STATUS_DENIED = 3,   /* no token that is good, or not the permission */
    STATUS_MISSING = 4,  /* what was named does not exist, or may not be seen */
    STATUS_JOB_BAD = 5,  /* the job did not end well */
    STATUS_JOB_OPEN = 6, /* the job had not ended when the time to wait was over */
};

struct command_option {
    const char *name;  /* without "--" */
    const char *value; /* what stands for its value in the help; NULL: it takes none */
    bool required, repeats;
    const char *help;
};

enum { OPTIONS_MAX = 24 };

struct call { /* a subcommand and what it was given */
    const struct command *command;
    const char *operand;               /* NULL: none was given */
    struct id_list given[OPTIONS_MAX]; /* by the option's place in the command's table; one that takes no value: "" */
    struct arena arena;
    FILE *out, *err;
};

struct command {
    const char *name;    /* one word, or two: "token issue" */
    const char *summary; /* one line */
    const char *about;   /* more, for `bailiff help NAME`; ends with a newline */
    const char *operand; /* what stands for its one word that is no option; NULL: it takes none */
    bool operand_optional;
    bool client; /* of a running server, wherever it is */
    const struct command_option *options;
    size_t option_count;
    int (*run)(struct call *call);
};

const char *call_value(const struct call *call, const char *option); /* NULL: not given */
const struct id_list *call_values(const struct call *call, const char *option);
bool call_takes(const struct call *call, const char *option); /* its command has such an option */
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
    COMMAND_AUDIT_VERIFY, COMMAND_RUNNER, COMMAND_KEEPER, COMMAND_TASKS_LIST, COMMAND_TASKS_SHOW, COMMAND_TASKS_CREATE,
    COMMAND_TASKS_DELETE, COMMAND_TASKS_SUBMIT, COMMAND_JOBS_LIST, COMMAND_JOBS_SHOW, COMMAND_JOBS_LOG,
    COMMAND_JOBS_EVENTS, COMMAND_JOBS_CREATE, COMMAND_JOBS_SUBMIT, COMMAND_JOBS_CANCEL, COMMAND_JOBS_DELETE,
    COMMAND_SUBMISSIONS_LIST, COMMAND_SUBMISSIONS_SHOW, COMMAND_QUEUE_STATUS, COMMAND_QUEUE_PAUSE, COMMAND_QUEUE_RESUME;

#endif
