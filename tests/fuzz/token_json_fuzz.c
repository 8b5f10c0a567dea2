/* The reader of tokens' JSON beside jansson: within its bounds, it accepts the same documents and reads the same out of them. */
#include <stdlib.h>

#include "auth/value.h"
#include "bailiff/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool true_)
{
    if (!true_)
        abort();
}

static void check_same(const struct value *v, const json_t *j)
{
    const char *name;
    json_t *member;
    size_t i = 0;

    switch (v->type) {
    case VALUE_NULL:
        demand(json_is_null(j));
        break;
    case VALUE_BOOLEAN:
        demand(json_is_boolean(j));
        break;
    case VALUE_NUMBER:
        demand(json_is_number(j) && v->number == json_number_value(j));
        break;
    case VALUE_STRING:
        demand(json_is_string(j) && v->text.len == json_string_length(j) && str_eq(v->text.data, json_string_value(j)));
        break;
    case VALUE_ARRAY:
        demand(json_is_array(j));
        for (const struct value *item = v->first; item; item = item->next)
            check_same(item, json_array_get(j, i++));
        demand(i == json_array_size(j));
        break;
    case VALUE_OBJECT:
        demand(json_is_object(j));
        json_object_foreach ((json_t *)j, name, member) {
            const struct value *found = value_member(v, span_of(name));
            demand(found != NULL);
            check_same(found, member);
            i++;
        }
        for (const struct value *m = v->first; m; m = m->next)
            i--;
        demand(i == 0);
        break;
    }
}

/* Only a document of many values may be refused by one and not by the other. */
static bool is_large(const uint8_t *data, size_t size)
{
    size_t separators = 0;

    for (size_t i = 0; i < size; i++)
        separators += data[i] == ',' || data[i] == '[' || data[i] == '{';
    return separators >= VALUE_MEMBERS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct values values;
    own(freep) char *bytes = xmalloc(size + 1);
    own(json_freep) json_t *wanted = NULL;
    const struct value *value = NULL;

    memcpy(bytes, size ? (const char *)data : "", size);
    bool good = value_read(bytes, size, &values, &value);
    bool is_json = json_read((struct span){(const char *)data, size}, "It", &wanted, NULL);
    demand(!good || is_json);
    demand(good || !is_json || is_large(data, size));
    if (good) {
        check_same(value, wanted);
        demand(value_at(value, "") == value);
        (void)value_at(value, "/a/0/~0b");
    }
    return 0;
}
