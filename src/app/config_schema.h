/* The settings there are: constant tables, one row each. Private to the config_*.c files. */
#ifndef APP_CONFIG_SCHEMA_H
#define APP_CONFIG_SCHEMA_H

#include "app/config.h"

/* Kinds of settings, and the C type that each fills. */
enum setting_kind {
    SETTING_TEXT,      /* const char * */
    SETTING_PATH,      /* const char *, made absolute */
    SETTING_BOOL,      /* bool */
    SETTING_COUNT,     /* unsigned */
    SETTING_SIZE,      /* uint64_t, bytes */
    SETTING_TIME,      /* unsigned, milliseconds */
    SETTING_LONG_TIME, /* uint64_t, milliseconds */
    SETTING_CHOICE,    /* int: index in `choices` */
    SETTING_TEXTS,     /* struct id_list */
    SETTING_PATHS,     /* struct id_list, each made absolute */
    SETTING_ROLE_MAP,  /* struct config_role_map */
    SETTING_RETRIES,   /* struct config_retries */
    SETTING_SECTION,   /* the struct itself; its first member is the node */
    SETTING_SECTIONS,  /* struct config_sections: a list */
    SETTING_NAMED,     /* struct config_sections: a table by name; the second member of each is the name */
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
    const char *fallback; /* as it would be written; NULL: nothing */
    uint64_t min, max;    /* of numbers, sizes, times; bytes of text; elements of lists */
    bool required;
    const char *const *choices; /* ends with NULL */
    const struct setting_table *section;
    const char *help; /* what it is for: completes "it is …" in messages */
};

struct setting_table {
    const struct setting *rows;
    size_t count;
    size_t size; /* of the struct that it fills */
};

extern const struct setting_table CONFIG_SCHEMA;

/* Fills a struct from a map (NULL: all defaults); `path` names it in messages, "" at the top. */
void config_read_section(struct config *c, struct problems *problems, const struct setting_table *table,
                         const struct yaml_node *node, const char *path, void *section);

/* Fills in what a preset knows and the file does not say. */
void config_apply_presets(struct config *c, struct problems *problems);

/* Checks across settings; config_check_machine looks at files and users too. */
void config_check_server(struct config *c, struct problems *problems);
void config_check_issuers(struct config *c, struct problems *problems);
void config_check_cors(struct config *c, struct problems *problems);
void config_check_machine(struct config *c, struct problems *problems);

/* "https://host[:port]" in its one spelling, with nothing behind it but, if path is allowed, a path without a final slash. Says what is wrong, or NULL. */
const char *origin_fault(const char *url, bool path_allowed, bool *ret_loopback);
bool address_is_loopback(const char *address);

#endif
