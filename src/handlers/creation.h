/* A new task, alone or with a job of its own: what POST /tasks/ and POST /jobs/ share. */
#ifndef BAILIFF_HANDLERS_CREATION_H
#define BAILIFF_HANDLERS_CREATION_H

#include "handlers/change.h"

/* The input of the change. */
struct creation_input {
    struct change_input base;
    const char *config_id;
    struct task_creation creation; /* its config is found by creation_find_config */
};

/* Reads the request, in which `parameter` names the task's configuration, and hands the change to the writer. */
enum flow creation_start(struct exchange *x, const char *parameter, const char *action,
                         bool (*apply)(struct store_txn *txn, struct change *change, struct fault *fault),
                         void (*render)(struct change *change));

/* For apply: looks the configuration up in the transaction, so that a failure is recorded and kept like a success. */
must_check bool creation_find_config(struct creation_input *input, struct fault *fault);

#endif
