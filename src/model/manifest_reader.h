/* Reading a manifest member by member. Private to model.
 *
 * The manifest comes from a process that runs users' code. Nothing in it is believed: every member has a type, a limit and a
 * meaning, and what has no meaning is refused. A fault starts with the kind and id of what is wrong: `task "double": …` */
#ifndef MODEL_MANIFEST_READER_H
#define MODEL_MANIFEST_READER_H

#include "bailiff/json.h"
#include "bailiff/model.h"

enum {
    MANIFEST_SIZE_MAX = 64 << 20,
    DATA_NODES_MAX = 10000,
    TASKS_MAX = 10000,
    SCENARIOS_MAX = 1000,
    SEQUENCES_MAX = 1000, /* of one scenario */
    TASK_NODES_MAX = 256, /* inputs, and outputs, of one task */
    ARGUMENTS_MAX = 256,
    ARGUMENT_BYTES_MAX = 32 << 10,
    ENVIRONMENT_MAX = 256,
    PROPERTIES_BYTES_MAX = 64 << 10,
    NAME_BYTES_MAX = 512, /* of versions, modules, functions, sequences */
    PATH_BYTES_MAX = 4095,
    WORKERS_MAX = 1024,
    /* What the runner is told of one task has to fit into one frame, with room for the paths that are chosen later. */
    START_BYTES_MAX = 512 << 10,
};

struct manifest_reader {
    struct manifest *m;
    struct fault *fault;
    char where[CONFIG_ID_MAX + 32]; /* `task "double"`; empty: the manifest itself */
};

/* Fills the fault; always false. */
bool reader_bad(struct manifest_reader *r, const char *format, ...) printf_like(2, 3);

bool name_is_clean(const char *s, size_t max); /* not empty, no control characters */
bool name_is_dotted(const char *s);            /* "a.b.c" */
bool path_is_absolute(const char *s);          /* and in its normal form */
bool path_is_below(const char *s);             /* relative, and cannot leave its folder */

/* An object with no members but these. */
must_check bool reader_members(struct manifest_reader *r, const json_t *object, const char *const *names, size_t count);
/* For each: a member that is absent or null reads as NULL, `absent`, false, or an empty list. */
must_check bool reader_string(struct manifest_reader *r, const json_t *object, const char *key, const char **ret);
must_check bool reader_int(struct manifest_reader *r, const json_t *object, const char *key, int64_t min, int64_t max,
                           int64_t absent, int64_t *ret);
must_check bool reader_bool(struct manifest_reader *r, const json_t *object, const char *key, bool *ret);
must_check bool reader_list(struct manifest_reader *r, const json_t *object, const char *key, size_t count_max,
                            size_t bytes_max, struct id_list *ret);
/* The id; from here on faults name it. */
must_check bool reader_id(struct manifest_reader *r, const json_t *object, const char *kind, size_t index,
                          const char **ret);

/* One element of each kind; data nodes must be read and sorted before tasks, tasks before scenarios. */
must_check bool manifest_read_data_node(struct manifest_reader *r, const json_t *object, size_t index,
                                        struct data_node_config *ret);
must_check bool manifest_read_task(struct manifest_reader *r, const json_t *object, size_t index,
                                   struct task_config *ret);
must_check bool manifest_read_scenario(struct manifest_reader *r, const json_t *object, size_t index,
                                       struct scenario_config *ret);

#endif
