/* YAML as bailiff's own files use it: a tree in an arena, where every node knows its line.
 *
 * What makes YAML surprising is refused: anchors, aliases, tags, several documents, keys twice, keys that are not plain text, and
 * nesting or sizes beyond what a person writes. */
#ifndef APP_YAML_H
#define APP_YAML_H

#include "app/problems.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line;
    bool plain;               /* a scalar without quotes: may be a number, true, null … */
    const char *text;         /* of a scalar; no NUL, no control characters but newline and tab */
    const char **keys;        /* of a map; an item's line is its key's */
    unsigned *lines;          /* of a map's keys */
    struct yaml_node **items; /* of a map or list */
    size_t count;
};

enum { YAML_SIZE_MAX = 1 << 20 };

/* False if the text is no such YAML: then the problems say why. An empty file is an empty map. */
must_check bool yaml_read(struct span text, struct arena *arena, struct problems *problems,
                          struct yaml_node **ret_root);

/* The value of a key, or NULL. */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);
/* The key's line, else the map's. */
unsigned yaml_line(const struct yaml_node *map, const char *key);
/* Complains of every key that is not one of the names: `where` has no such setting. */
void yaml_refuse_unknown(const struct yaml_node *map, const char *where, const char *const *names, size_t count,
                         struct problems *problems);
bool yaml_is_null(const struct yaml_node *node);          /* nothing, ~ or null */
const char *yaml_kind_name(const struct yaml_node *node); /* "a list" … */

#endif
