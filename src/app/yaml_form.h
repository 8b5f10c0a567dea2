/* Elements of an application's file: typed access with complaints. Private to manifest_yaml*.c. */
#ifndef APP_YAML_FORM_H
#define APP_YAML_FORM_H

#include "app/yaml.h"
#include "bailiff/json.h"

struct form { /* one file */
    struct arena *arena;
    struct problems *problems;
    const char *root;                 /* its folder, absolute, free of links */
    int folder;                       /* the same, open */
    bool same_user;                   /* users' code runs as the server's user: what this may read, that may */
    json_t *data_node_ids, *task_ids; /* sets: every id that the file has, sound or not */
    struct form_default *defaults;    /* first values, in the order of the data nodes */
    size_t default_count;
};
struct form_default {
    const char *name;   /* below storage */
    const char *source; /* a file, seen from the folder … */
    const char *data;   /* … or JSON text */
    uint8_t digest[32];
    unsigned line;
};

struct item { /* one data node, task or scenario */
    struct form *form;
    const char *kind, *id; /* "task", "tidy" */
    const struct yaml_node *node;
};

/* "task tidy: …" at a key's line, or the item's (NULL). Returns false. */
bool item_bad(const struct item *item, const char *key, const char *format, ...) printf_like(3, 4);
/* Each: NULL, false or `absent` when the key is not there or, which is said, cannot be used. */
const char *item_text(const struct item *item, const char *key);
bool item_bool(const struct item *item, const char *key);
json_t *item_time(const struct item *item, const char *key);  /* milliseconds, or null */
json_t *item_texts(const struct item *item, const char *key); /* array of strings */
/* Array of ids, each of which must be in `known`; `what` they are: "data node". */
json_t *item_ids(const struct item *item, const char *key, json_t *known, const char *what);
json_t *form_ids(const struct item *item, const char *key, const struct yaml_node *list, json_t *known,
                 const char *what);

/* A YAML value as JSON: plain scalars that look like JSON's own are those, all else is text. NULL: it has no form there. */
json_t *yaml_to_json(const struct yaml_node *node);
/* Lexically, as the runner does: "/a/b" and "../c" give "/a/c". */
char *path_resolve(const char *folder, const char *path);

#endif
