#include "app/yaml.h"

#include <libfyaml.h>

enum { DEPTH_MAX = 20, NODES_MAX = 200000, KEY_BYTES_MAX = 512 };

struct level { /* a list or map whose end has not come yet */
    struct yaml_node *node;
    size_t cap;
    const char *key; /* of a map: read, and its value is next */
    unsigned key_line;
};

struct builder {
    struct fy_parser *parser;
    struct arena *arena;
    struct problems *problems;
    struct level levels[DEPTH_MAX];
    size_t depth, nodes, documents;
    struct yaml_node *root;
};

/* ---- the text itself ---- */
static unsigned line_at(struct span text, size_t position)
{
    unsigned line = 1;

    for (size_t i = 0; i < position && i < text.len; i++)
        line += text.data[i] == '\n';
    return line;
}

static size_t utf8_end(struct span text)
{
    size_t good = 0, bad = text.len;

    if (text.len == 0 || utf8_valid(text.data, text.len))
        return text.len;
    while (good + 1 < bad) { /* text.data[0 … good) is valid, up to a sequence that is cut off */
        size_t middle = good + (bad - good) / 2, cut = middle;

        while (cut > good && ((unsigned char)text.data[cut] & 0xc0) == 0x80)
            cut--;
        if (utf8_valid(text.data, cut))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

static bool check_text(struct span text, struct problems *problems)
{
    size_t end;

    if (text.len > YAML_SIZE_MAX)
        return problems_add(problems, 0, "is larger than %d KiB; no such file is written by hand.",
                            YAML_SIZE_MAX >> 10);
    if ((end = utf8_end(text)) < text.len)
        return problems_add(problems, line_at(text, end), "is not UTF-8; save the file in that encoding.");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if ((c < 0x20 && !strchr("\t\n\r", c)) || c == 0x7f || c == 0)
            return problems_add(problems, line_at(text, i), "has the control character 0x%02x; remove it.", c);
    }
    return true;
}

/* ---- the tree ---- */
static bool attach(struct builder *b, struct yaml_node *node)
{
    struct level *l;

    if (b->depth == 0) {
        b->root = node;
        return true;
    }
    l = &b->levels[b->depth - 1];
    if (l->node->count ==
        l->cap) { /* growing by copies in the arena: doubling wastes no more than the size of the file */
        size_t cap = l->cap ? 2 * l->cap : 8;
        struct yaml_node **items = arena_alloc(b->arena, cap * sizeof(*items));
        const char **keys = arena_alloc(b->arena, cap * sizeof(*keys));
        unsigned *lines = arena_alloc(b->arena, cap * sizeof(*lines));

        if (l->node->count > 0) {
            memcpy(items, l->node->items, l->node->count * sizeof(*items));
            memcpy(keys, l->node->keys, l->node->count * sizeof(*keys));
            memcpy(lines, l->node->lines, l->node->count * sizeof(*lines));
        }
        l->node->items = items;
        l->node->keys = keys;
        l->node->lines = lines;
        l->cap = cap;
    }
    l->node->items[l->node->count] = node;
    l->node->keys[l->node->count] = l->key;
    l->node->lines[l->node->count] = l->key ? l->key_line : node->line;
    l->node->count++;
    l->key = NULL;
    return true;
}

static bool wants_key(const struct builder *b)
{
    return b->depth > 0 && b->levels[b->depth - 1].node->kind == YAML_MAP && !b->levels[b->depth - 1].key;
}

static unsigned event_line(struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);

    return mark && mark->line >= 0 ? (unsigned)mark->line + 1 : 0;
}

static bool check_plainness(struct builder *b, unsigned line, const struct fy_token *anchor, const struct fy_token *tag)
{
    if (anchor)
        return problems_add(b->problems, line,
                            "anchors (&name) are not used here; write the value where it is needed.");
    if (tag)
        return problems_add(b->problems, line, "tags (!name) are not used here; leave it out.");
    if (++b->nodes > NODES_MAX)
        return problems_add(b->problems, line, "the file has more than %d values.", NODES_MAX);
    return true;
}

/* Where nothing is written there is no token: then the line is its key's, or its list's. */
static unsigned scalar_line(const struct builder *b, struct fy_event *event)
{
    unsigned line = event_line(event);
    const struct level *l = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;

    return line > 0 || !l ? line : l->key ? l->key_line : l->node->line;
}

static bool add_scalar(struct builder *b, struct fy_event *event)
{
    struct fy_token *value = event->scalar.value;
    unsigned line = scalar_line(b, event);
    struct yaml_node *node;
    size_t len = 0;
    const char *text = value ? fy_token_get_text(value, &len) : "";

    if (!check_plainness(b, line, event->scalar.anchor, event->scalar.tag))
        return false;
    /* "\0" and its like can be written with escapes. */
    for (size_t i = 0; text && i < len; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f)
            return problems_add(b->problems, line, "a value has a control character; remove it.");
    if (!text || !utf8_valid(text, len))
        return problems_add(b->problems, line, "a value is not UTF-8.");
    if (wants_key(b)) {
        if (len == 0 || len > KEY_BYTES_MAX)
            return problems_add(b->problems, line, "a key must have 1 to %d characters.", KEY_BYTES_MAX);
        b->levels[b->depth - 1].key = arena_strndup(b->arena, text, len);
        b->levels[b->depth - 1].key_line = line;
        return true;
    }
    node = arena_alloc(b->arena, sizeof(*node));
    *node = (struct yaml_node){.kind = YAML_SCALAR, .line = line, .text = arena_strndup(b->arena, text, len)};
    node->plain = !value || fy_scalar_token_get_style(value) == FYSS_PLAIN;
    return attach(b, node);
}

static bool open_level(struct builder *b, enum yaml_kind kind, unsigned line)
{
    struct yaml_node *node;

    if (wants_key(b))
        return problems_add(b->problems, line, "a key must be plain text.");
    if (b->depth == DEPTH_MAX)
        return problems_add(b->problems, line, "is nested more than %d deep.", DEPTH_MAX);
    node = arena_alloc(b->arena, sizeof(*node));
    *node = (struct yaml_node){.kind = kind, .line = line};
    if (!attach(b, node))
        return false;
    b->levels[b->depth++] = (struct level){.node = node};
    return true;
}

static int key_compare(const void *a, const void *b, void *arg)
{
    const struct yaml_node *map = arg;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int order = strcmp(map->keys[x], map->keys[y]);

    return order ? order : x < y ? -1 : x > y;
}

static void check_keys(struct builder *b, const struct yaml_node *map)
{
    own(freep) size_t *order = xcalloc(map->count + 1, sizeof(*order));

    for (size_t i = 0; i < map->count; i++)
        order[i] = i;
    qsort_r(order, map->count, sizeof(*order), key_compare, (void *)map);
    for (size_t i = 1; i < map->count; i++)
        if (strcmp(map->keys[order[i - 1]], map->keys[order[i]]) == 0)
            problems_add(b->problems, map->lines[order[i]], "\"%s\" stands here and in line %u; remove one of them.",
                         map->keys[order[i]], map->lines[order[i - 1]]);
}

static bool close_level(struct builder *b)
{
    const struct yaml_node *node = b->levels[--b->depth].node;

    if (node->kind == YAML_MAP && node->count > 1)
        check_keys(b, node);
    return true;
}

static bool add_event(struct builder *b, struct fy_event *event)
{
    unsigned line = event_line(event);

    switch (event->type) {
    case FYET_DOCUMENT_START:
        return ++b->documents == 1 ||
               problems_add(b->problems, line, "a second document starts here; a file holds one.");
    case FYET_ALIAS:
        return problems_add(b->problems, line, "aliases (*name) are not used here; write the value itself.");
    case FYET_SCALAR:
        return add_scalar(b, event);
    case FYET_SEQUENCE_START:
        return check_plainness(b, line, event->sequence_start.anchor, event->sequence_start.tag) &&
               open_level(b, YAML_LIST, line);
    case FYET_MAPPING_START:
        return check_plainness(b, line, event->mapping_start.anchor, event->mapping_start.tag) &&
               open_level(b, YAML_MAP, line);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        return close_level(b);
    default:
        return true;
    }
}

/* ---- libfyaml ---- */
static void diag_destroyp(struct fy_diag **diag)
{
    fy_diag_destroy(*diag);
}

static void parser_destroyp(struct fy_parser **parser)
{
    if (*parser)
        fy_parser_destroy(*parser);
}

static bool syntax_problem(struct fy_diag *diag, struct problems *problems)
{
    void *iterator = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &iterator);

    if (!error)
        return problems_add(problems, 0, "is not YAML.");
    return problems_add(problems, error->line > 0 ? (unsigned)error->line : 0, "is not YAML: %s (column %d).",
                        error->msg ? error->msg : "syntax error", error->column);
}

static bool build(struct builder *b, struct fy_diag *diag)
{
    bool ended = false;

    while (!ended) {
        struct fy_event *event = fy_parser_parse(b->parser);

        if (!event)
            return fy_parser_get_stream_error(b->parser) || !b->root ? syntax_problem(diag, b->problems) : true;
        ended = event->type == FYET_STREAM_END;
        bool fine = add_event(b, event);
        fy_parser_event_free(b->parser, event);
        if (!fine)
            return false;
    }
    return true;
}

bool yaml_read(struct span text, struct arena *arena, struct problems *problems, struct yaml_node **ret_root)
{
    struct fy_diag_cfg diag_config;
    struct builder b = {.arena = arena, .problems = problems};

    if (!check_text(text, problems))
        return false;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    own(diag_destroyp) struct fy_diag *diag = fy_diag_create(&diag_config);
    if (!diag)
        abort();
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
                                        .diag = diag};
    own(parser_destroyp) struct fy_parser *parser = fy_parser_create(&config);
    if (!parser || fy_parser_set_string(parser, text.data ? text.data : "", text.len) != 0)
        return problems_add(problems, 0, "cannot be parsed.");
    b.parser = parser;
    if (!build(&b, diag))
        return false;
    if (!b.root || yaml_is_null(b.root)) { /* comments only */
        b.root = arena_alloc(arena, sizeof(*b.root));
        *b.root = (struct yaml_node){.kind = YAML_MAP, .line = 1};
    }
    *ret_root = b.root;
    return true;
}

/* ---- looking into it ---- */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
        if (strcmp(map->keys[i], key) == 0)
            return map->items[i];
    return NULL;
}

unsigned yaml_line(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
        if (strcmp(map->keys[i], key) == 0)
            return map->lines[i];
    return map ? map->line : 0;
}

void yaml_refuse_unknown(const struct yaml_node *map, const char *where, const char *const *names, size_t count,
                         struct problems *problems)
{
    own(text_done) struct text all = {0};

    for (size_t n = 0; n < count; n++)
        text_printf(&all, "%s%s", n > 0 ? ", " : "", names[n]);
    for (size_t i = 0; i < map->count; i++) {
        const char *key = map->keys[i], *near;
        size_t known = 0;

        while (known < count && strcmp(key, names[known]) != 0)
            known++;
        if (known < count)
            continue;
        near = text_nearest(key, names, count);
        if (near)
            problems_add(problems, map->lines[i], "%s has no setting \"%s\"; did you mean \"%s\"?", where, key, near);
        else
            problems_add(problems, map->lines[i], "%s has no setting \"%s\"; there are %s.", where, key, all.data);
    }
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const char *yaml_kind_name(const struct yaml_node *node)
{
    static const char *const NAMES[] = {
        [YAML_SCALAR] = "a single value", [YAML_LIST] = "a list", [YAML_MAP] = "a table"};

    return NAMES[node->kind];
}
