#include "app/passed.h"

#include <stdlib.h>

static bool begins(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

const char *passed_name_fault(const char *name)
{
    static const char *const OWN[] = {"PATH", "HOME", "LANG"};

    if (!text_is_identifier(span_of(name)))
        return "is not the name of a variable";
    if (begins(name, "BAILIFF_"))
        return "cannot be passed on: names that start with BAILIFF_ are bailiff's own";
    if (begins(name, "LD_") || begins(name, "PYTHON"))
        return "cannot be passed on: it chooses the code that the runner and the interpreter load";
    for (size_t i = 0; i < ARRAY_LEN(OWN); i++)
        if (strcmp(name, OWN[i]) == 0)
            return "cannot be passed on: bailiff sets it itself";
    return NULL;
}

void passed_collect(const struct id_list *names, struct arena *arena, struct id_list *ret_variables,
                    struct id_list *ret_unset)
{
    *ret_variables = *ret_unset = (struct id_list){0};
    ret_variables->items = arena_alloc(arena, (names->count + 1) * sizeof(*ret_variables->items));
    ret_unset->items = arena_alloc(arena, (names->count + 1) * sizeof(*ret_unset->items));
    for (size_t i = 0; i < names->count; i++) {
        const char *value = getenv(names->items[i]);

        if (value)
            ret_variables->items[ret_variables->count++] = arena_printf(arena, "%s=%s", names->items[i], value);
        else
            ret_unset->items[ret_unset->count++] = names->items[i];
    }
}
