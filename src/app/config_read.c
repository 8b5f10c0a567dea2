/* Fills structs from the tree by the tables: one reader for every setting. */
#include "app/config_schema.h"

#include "app/yaml_form.h"
#include "bailiff/quantity.h"

struct place { /* what a value is for, while it is read */
    struct config *config;
    struct problems *problems;
    const struct setting *setting;
    char path[256]; /* "server.listeners[0].port" */
    bool quiet;     /* what should hold it is no table: that was said, and is enough */
    unsigned line;
};

static bool bad(const struct place *at, const char *format, ...) printf_like(2, 3);
static bool bad(const struct place *at, const char *format, ...)
{
    own(freep) char *what = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&what, format, args) < 0)
        abort();
    va_end(args);
    return problems_add(at->problems, at->line, "%s%s%s", at->path, what[0] == ':' ? "" : " ", what);
}

/* ---- single values ---- */
static bool read_text(const struct place *at, const char *text, const char **ret)
{
    size_t len = strlen(text);

    if (len < at->setting->min)
        return bad(at, "is empty; it is %s.", at->setting->help);
    if (len > at->setting->max)
        return bad(at, "is longer than %llu bytes.", (unsigned long long)at->setting->max);
    if (strpbrk(text, "\n\t"))
        return bad(at, "must be one line without tabs.");
    *ret = arena_strdup(&at->config->arena, text);
    return true;
}

static bool read_path(const struct place *at, const char *text, const char **ret)
{
    const char *path = NULL;

    if (!read_text(at, text, &path))
        return false;
    if (strncmp(path, "~/", 2) == 0)
        return bad(at, ": \"~\" is a shell's; write the folder out.");
    *ret = path[0] == '/' ? path : arena_printf(&at->config->arena, "%s/%s", at->config->folder, path);
    return true;
}

static bool read_bool(const struct place *at, const char *text, bool *ret)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return bad(at, ": \"%s\" is neither true nor false.", text);
    *ret = text[0] == 't';
    return true;
}

static bool read_count(const struct place *at, const char *text, unsigned *ret)
{
    uint64_t n;

    if (!span_to_u64(span_of(text), UINT64_MAX, &n))
        return bad(at, ": \"%s\" is not a whole number; give one from %llu to %llu.", text,
                   (unsigned long long)at->setting->min, (unsigned long long)at->setting->max);
    if (n < at->setting->min || n > at->setting->max)
        return bad(at, ": %s is out of range; give a number from %llu to %llu.", text,
                   (unsigned long long)at->setting->min, (unsigned long long)at->setting->max);
    *ret = (unsigned)n;
    return true;
}

static bool read_quantity(const struct place *at, const char *text, uint64_t *ret)
{
    bool size = at->setting->kind == SETTING_SIZE;
    own(text_done) struct text min = {0}, max = {0};
    uint64_t n;

    (size ? size_format : duration_format)(at->setting->min, &min);
    (size ? size_format : duration_format)(at->setting->max, &max);
    if (!(size ? size_parse : duration_parse)(span_of(text), &n))
        return bad(at, ": \"%s\" is not a %s.", text,
                   size ? "size; write a whole number with its unit, such as 64KiB, 10MiB or 1GiB"
                        : "time; write a whole number with its unit, such as 500ms, 10s, 5m or 24h");
    if (n < at->setting->min || n > at->setting->max)
        return bad(at, ": %s is out of range; give %s from %s to %s.", text, size ? "a size" : "a time", min.data,
                   max.data);
    *ret = n;
    return true;
}

static bool read_choice(const struct place *at, const char *text, int *ret)
{
    own(text_done) struct text all = {0};

    for (int i = 0; at->setting->choices[i]; i++) {
        if (strcmp(text, at->setting->choices[i]) == 0) {
            *ret = i;
            return true;
        }
        text_printf(&all, "%s\"%s\"",
                    i == 0                        ? ""
                    : at->setting->choices[i + 1] ? ", "
                                                  : " or ",
                    at->setting->choices[i]);
    }
    return bad(at, ": \"%s\" is not known here; choose %s.", text, all.data);
}

static bool read_scalar(const struct place *at, const char *text, void *target)
{
    uint64_t n;

    switch (at->setting->kind) {
    case SETTING_TEXT:
        return read_text(at, text, target);
    case SETTING_PATH:
        return read_path(at, text, target);
    case SETTING_BOOL:
        return read_bool(at, text, target);
    case SETTING_COUNT:
        return read_count(at, text, target);
    case SETTING_CHOICE:
        return read_choice(at, text, target);
    case SETTING_TIME:
        if (!read_quantity(at, text, &n))
            return false;
        *(unsigned *)target = (unsigned)n;
        return true;
    default: /* SETTING_SIZE, SETTING_LONG_TIME */
        return read_quantity(at, text, target);
    }
}

/* ---- lists and tables ---- */
static bool read_element(const struct place *at, const struct yaml_node *node, const char **ret)
{
    if (node->kind != YAML_SCALAR || yaml_is_null(node) || node->text[0] == '\0')
        return problems_add(at->problems, node->line, "%s must hold text only; here is %s.", at->path,
                            node->kind == YAML_SCALAR ? "nothing" : yaml_kind_name(node));
    if (strlen(node->text) > 1024 || strpbrk(node->text, "\n\t"))
        return problems_add(at->problems, node->line, "%s: an element must be one line of at most 1024 bytes.",
                            at->path);
    *ret = arena_strdup(&at->config->arena, node->text);
    return true;
}

static bool check_count(const struct place *at, size_t count)
{
    if (count < at->setting->min)
        return bad(at, "is empty; it is %s.", at->setting->help);
    if (count > at->setting->max)
        return bad(at, "has %zu elements; at most %llu are allowed.", count, (unsigned long long)at->setting->max);
    return true;
}

static bool read_texts(const struct place *at, const struct yaml_node *node, struct id_list *ret)
{
    if (node->kind != YAML_LIST)
        return bad(at, "must be a list, such as [one, two], not %s.", yaml_kind_name(node));
    if (!check_count(at, node->count))
        return false;
    ret->items = arena_alloc(&at->config->arena, (node->count + 1) * sizeof(*ret->items));
    for (size_t i = 0; i < node->count; i++) {
        if (!read_element(at, node->items[i], &ret->items[ret->count]))
            continue;
        for (size_t j = 0; j < ret->count; j++)
            if (strcmp(ret->items[j], ret->items[ret->count]) == 0)
                problems_add(at->problems, node->items[i]->line, "%s has \"%s\" twice; remove one.", at->path,
                             ret->items[j]);
        ret->count++;
    }
    return true;
}

static bool read_paths(const struct place *at, const struct yaml_node *node, struct id_list *ret)
{
    if (!read_texts(at, node, ret))
        return false;
    for (size_t i = 0; i < ret->count; i++)
        if (!read_path(at, ret->items[i], &ret->items[i]))
            return false;
    return true;
}

static bool read_role_map(const struct place *at, const struct yaml_node *node, struct config_role_map *ret)
{
    if (node->kind != YAML_MAP)
        return bad(at, "must be a table, such as %s, not %s.",
                   strcmp(at->setting->name, "role_map") == 0 ? "{analysts: TAIPY_READER}" : "{/tid: some-text}",
                   yaml_kind_name(node));
    if (!check_count(at, node->count))
        return false;
    ret->items = arena_alloc(&at->config->arena, (node->count + 1) * sizeof(*ret->items));
    for (size_t i = 0; i < node->count; i++) {
        struct role_mapping *item = &ret->items[ret->count];

        item->from = arena_strdup(&at->config->arena, node->keys[i]);
        if (read_element(at, node->items[i], &item->to))
            ret->count++;
    }
    return true;
}

static bool read_sections(const struct place *at, const struct yaml_node *node, struct config_sections *ret)
{
    const struct setting_table *table = at->setting->section;

    if (node->kind != YAML_LIST)
        return bad(at, "must be a list: one \"- \" before each element; here is %s.", yaml_kind_name(node));
    if (!check_count(at, node->count))
        return false;
    ret->items = arena_alloc(&at->config->arena, node->count * table->size);
    ret->count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        char path[300];

        snprintf(path, sizeof(path), "%s[%zu]", at->path, i);
        config_read_section(at->config, at->problems, table, node->items[i], path,
                            (char *)ret->items + i * table->size);
    }
    return true;
}

static bool read_named(const struct place *at, const struct yaml_node *node, struct config_sections *ret)
{
    const struct setting_table *table = at->setting->section;

    if (node->kind != YAML_MAP)
        return bad(at, "must be a table, one entry for each id, not %s.", yaml_kind_name(node));
    if (!check_count(at, node->count))
        return false;
    ret->items = arena_alloc(&at->config->arena, (node->count + 1) * table->size);
    ret->count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        char path[420], *item = (char *)ret->items + i * table->size;
        const char *name = arena_strdup(&at->config->arena, node->keys[i]);

        if (!text_is_identifier(span_of(name)))
            problems_add(at->problems, node->lines[i], "%s: \"%s\" is no id.", at->path, name);
        snprintf(path, sizeof(path), "%s.%s", at->path, name);
        config_read_section(at->config, at->problems, table, node->items[i], path, item);
        memcpy(item + sizeof(void *), &name, sizeof(name));
    }
    return true;
}

static bool read_retries(const struct place *at, const struct yaml_node *node, struct config_retries *ret)
{
    own(json_freep) json_t *json = yaml_to_json(node);
    struct fault fault = {0};

    *ret = (struct config_retries){0};
    if (!json)
        return bad(at, "cannot be understood.");
    ret->given = retries_read(json, at->path, &at->config->arena, &ret->retries, &fault);
    return ret->given || problems_add(at->problems, at->line, "%s", fault.message);
}

/* ---- one setting, present or not ---- */
static void set_default(const struct place *at, void *target)
{
    const struct setting *s = at->setting;

    if (s->kind == SETTING_TEXTS && s->fallback) {
        struct id_list *list = target;

        list->items = arena_alloc(&at->config->arena, sizeof(*list->items));
        list->items[0] = s->fallback;
        list->count = 1;
    } else if (s->fallback && !read_scalar(at, s->fallback, target)) {
        abort(); /* a row contradicts itself: the tests read every default */
    }
}

static void read_present(const struct place *at, const struct yaml_node *node, void *target)
{
    const struct setting *s = at->setting;
    bool fine = true;

    if (s->kind == SETTING_SECTION)
        config_read_section(at->config, at->problems, s->section, node, at->path, target);
    else if (s->kind == SETTING_NAMED && yaml_is_null(node))
        set_default(at, target); /* everything in it is commented out */
    else if (yaml_is_null(node))
        bad(at, "has no value; give one, or remove the line.");
    else if (s->kind == SETTING_SECTIONS)
        fine = read_sections(at, node, target);
    else if (s->kind == SETTING_NAMED)
        fine = read_named(at, node, target);
    else if (s->kind == SETTING_RETRIES)
        (void)!read_retries(at, node, target);
    else if (s->kind == SETTING_TEXTS)
        fine = read_texts(at, node, target);
    else if (s->kind == SETTING_PATHS)
        fine = read_paths(at, node, target);
    else if (s->kind == SETTING_ROLE_MAP)
        fine = read_role_map(at, node, target);
    else if (node->kind != YAML_SCALAR)
        bad(at, "must be a single value, not %s; it is %s.", yaml_kind_name(node), s->help);
    else if (!read_scalar(at, node->text, target))
        set_default(at, target);
    if (!fine)
        memset(target, 0,
               s->kind == SETTING_SECTIONS || s->kind == SETTING_NAMED ? sizeof(struct config_sections)
               : s->kind == SETTING_ROLE_MAP                           ? sizeof(struct config_role_map)
                                                                       : sizeof(struct id_list));
}

static void read_absent(const struct place *at, void *target)
{
    if (at->setting->kind == SETTING_SECTION)
        config_read_section(at->config, at->problems, at->setting->section, NULL, at->path, target);
    else if (at->setting->required && !at->quiet)
        bad(at, "is missing; it is %s.", at->setting->help);
    else
        set_default(at, target);
}

/* ---- a section ---- */
static void refuse_unknown(struct problems *problems, const struct setting_table *table, const struct yaml_node *map,
                           const char *path)
{
    own(freep) const char **names = xcalloc(table->count + 1, sizeof(*names));

    for (size_t i = 0; i < table->count; i++)
        names[i] = table->rows[i].name;
    yaml_refuse_unknown(map, path[0] ? path : "the file", names, table->count, problems);
}

void config_read_section(struct config *c, struct problems *problems, const struct setting_table *table,
                         const struct yaml_node *node, const char *path, void *section)
{
    unsigned line = node ? node->line : c->node ? c->node->line : 0;

    bool quiet = node && node->kind != YAML_MAP && !yaml_is_null(node);

    if (quiet)
        problems_add(problems, line, "%s must be a table of settings, not %s.", path, yaml_kind_name(node));
    if (quiet || (node && yaml_is_null(node))) /* everything in it is commented out */
        node = NULL;
    if (table != &CONFIG_SCHEMA)
        *(const struct yaml_node **)section = node;
    if (node)
        refuse_unknown(problems, table, node, path);
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *s = &table->rows[i];
        const struct yaml_node *value = yaml_find(node, s->name);
        struct place at = {c, problems, s, "", quiet, value ? yaml_line(node, s->name) : line};
        void *target = (char *)section + s->offset;

        snprintf(at.path, sizeof(at.path), "%s%s%s", path, path[0] ? "." : "", s->name);
        if (value)
            read_present(&at, value, target);
        else
            read_absent(&at, target);
    }
}
