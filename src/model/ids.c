/* Ids in Taipy's form. */
#include <stdio.h>

#include "bailiff/file.h"
#include "bailiff/model.h"

void entity_id_make(const char *prefix, const char *config_id, char out[static ENTITY_ID_SIZE])
{
    char uuid[UUID_TEXT_SIZE];

    uuid4(uuid);
    if (config_id)
        snprintf(out, ENTITY_ID_SIZE, "%s_%.*s_%s", prefix, CONFIG_ID_MAX, config_id, uuid);
    else
        snprintf(out, ENTITY_ID_SIZE, "%s_%s", prefix, uuid);
}

bool entity_id_valid(struct span id)
{
    if (id.len == 0 || id.len > ENTITY_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
        if (!plain)
            return false;
    }
    return true;
}
