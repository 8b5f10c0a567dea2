#include "app/yaml_form.h"

#include <math.h>
#include <stdarg.h>

#include "bailiff/quantity.h"

enum { SUGGESTIONS_MAX = 100 }; /* looking for the nearest of 10,000 names takes its time */

bool item_bad(const struct item *item, const char *key, const char *format, ...)
{
    own(freep) char *what = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&what, format, args) < 0)
        abort();
    va_end(args);
    return problems_add(item->form->problems, key ? yaml_line(item->node, key) : item->node->line, "%s %s%s%s: %s",
                        item->kind, item->id, key ? ": " : "", key ? key : "", what);
}

/* The key's value if it is a single one. */
static const struct yaml_node *find_scalar(const struct item *item, const char *key)
{
    const struct yaml_node *node = yaml_find(item->node, key);

    if (!node)
        return NULL;
    if (node->kind != YAML_SCALAR || yaml_is_null(node)) {
        item_bad(item, key,
                 node->kind == YAML_SCALAR ? "has no value; give one, or remove the line." : "must be a single value.");
        return NULL;
    }
    return node;
}

const char *item_text(const struct item *item, const char *key)
{
    const struct yaml_node *node = find_scalar(item, key);

    if (node && (node->text[0] == '\0' || strpbrk(node->text, "\n\t"))) {
        item_bad(item, key, "must be one line of text.");
        return NULL;
    }
    return node ? node->text : NULL;
}

bool item_bool(const struct item *item, const char *key)
{
    const struct yaml_node *node = find_scalar(item, key);

    if (node && strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0)
        return item_bad(item, key, "\"%s\" is neither true nor false.", node->text);
    return node && node->text[0] == 't';
}

json_t *item_time(const struct item *item, const char *key)
{
    const struct yaml_node *node = find_scalar(item, key);
    uint64_t ms;

    if (!node)
        return json_null();
    if (!duration_parse(span_of(node->text), &ms) || ms > INT64_MAX) {
        item_bad(item, key, "\"%s\" is not a time; write a whole number with its unit, such as 500ms, 10s, 5m or 24h.",
                 node->text);
        return json_null();
    }
    return json_integer((json_int_t)ms);
}

static const struct yaml_node *find_list(const struct item *item, const char *key)
{
    const struct yaml_node *node = yaml_find(item->node, key);

    if (!node || node->kind == YAML_LIST)
        return node;
    item_bad(item, key, "must be a list, such as [one, two], not %s.", yaml_kind_name(node));
    return NULL;
}

json_t *item_texts(const struct item *item, const char *key)
{
    const struct yaml_node *list = find_list(item, key);
    json_t *texts = json_array();

    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i]->kind != YAML_SCALAR)
            item_bad(item, key, "must hold text only, not %s.", yaml_kind_name(list->items[i]));
        else
            json_array_append_new(texts, json_string(list->items[i]->text));
    return texts;
}

static void unknown_id(const struct item *item, const char *key, const char *id, json_t *known, const char *what)
{
    own(freep) const char **names = xcalloc(json_object_size(known) + 1, sizeof(*names));
    size_t count = 0;
    const char *name, *near;
    json_t *value;

    if (item->form->problems->mistakes < SUGGESTIONS_MAX)
        json_object_foreach (known, name, value)
            names[count++] = name;
    near = text_nearest(id, names, count);
    item_bad(item, key, near ? "there is no %s \"%s\"; did you mean \"%s\"?" : "there is no %s \"%s\".", what, id,
             near);
}

json_t *form_ids(const struct item *item, const char *key, const struct yaml_node *list, json_t *known,
                 const char *what)
{
    json_t *ids = json_array();
    own(json_freep) json_t *seen = json_object();

    for (size_t i = 0; i < list->count; i++) {
        const char *id = list->items[i]->text;

        if (!id)
            item_bad(item, key, "must hold names only, not %s.", yaml_kind_name(list->items[i]));
        else if (!json_object_get(known, id))
            unknown_id(item, key, id, known, what);
        else if (json_object_get(seen, id))
            item_bad(item, key, "\"%s\" is listed twice.", id);
        else if (json_object_set_new(seen, id, json_true()) < 0 || json_array_append_new(ids, json_string(id)) < 0)
            abort();
    }
    return ids;
}

json_t *item_ids(const struct item *item, const char *key, json_t *known, const char *what)
{
    const struct yaml_node *list = find_list(item, key);

    return list ? form_ids(item, key, list, known, what) : json_array();
}

/* ---- values ---- */
static json_t *scalar_to_json(const struct yaml_node *node)
{
    const char *s = node->text, *digits = s + (s[0] == '-');
    char *end;
    double real;

    if (!node->plain)
        return json_string(s);
    if (yaml_is_null(node))
        return json_null();
    if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
        return json_boolean(s[0] == 't');
    /* JSON's own numbers only: 007, 0x1F, 1_000 and .5 stay text, as nobody can say what they were meant to be. */
    if (digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') ||
        s[strspn(s, "-+0123456789.eE")] != '\0')
        return json_string(s);
    if (digits[strspn(digits, "0123456789")] == '\0' && strlen(digits) <= 18)
        return json_integer(strtoll(s, NULL, 10));
    real = strtod(s, &end);
    return *end == '\0' && isfinite(real) && end[-1] != '.' ? json_real(real) : json_string(s);
}

json_t *yaml_to_json(const struct yaml_node *node)
{
    own(json_freep) json_t *result = NULL;

    if (node->kind == YAML_SCALAR)
        return scalar_to_json(node);
    result = node->kind == YAML_LIST ? json_array() : json_object();
    for (size_t i = 0; i < node->count; i++) {
        json_t *value = yaml_to_json(node->items[i]);

        if (!value || (node->kind == YAML_LIST ? json_array_append_new(result, value)
                                               : json_object_set_new(result, node->keys[i], value)) < 0)
            return NULL;
    }
    return give(result);
}

char *path_resolve(const char *folder, const char *path)
{
    own(freep) char *whole = path[0] == '/' ? xstrdup(path) : xprintf("%s/%s", folder, path);
    own(text_done) struct text out = {0};
    struct span rest = span_of(whole), part;

    while (span_cut(&rest, '/', &part)) {
        if (part.len == 0 || span_is(part, "."))
            continue;
        if (span_is(part, "..")) {
            while (out.len > 0 && out.data[--out.len] != '/')
                ;
            continue;
        }
        text_append_char(&out, '/');
        text_append_span(&out, part);
    }
    if (out.len == 0)
        return xstrdup("/");
    return xstrndup(out.data, out.len);
}
