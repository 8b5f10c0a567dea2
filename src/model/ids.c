/* Ids in Taipy's form. */
#include <stdio.h>
#include <string.h>

#include "bailiff/model.h"

void id_group_begin(struct id_source *source)
{
    memcpy(source->group, random_pooled(&source->pool, sizeof(source->group)), sizeof(source->group));
}

void entity_id_make(struct id_source *source, const char *prefix, const char *config_id,
                    char out[static ENTITY_ID_SIZE])
{
    enum { OWN = 16 - sizeof(source->group) };
    uint8_t bytes[16];
    char uuid[UUID_TEXT_SIZE];

    memcpy(bytes, source->group, sizeof(source->group));
    memcpy(bytes + sizeof(source->group), random_pooled(&source->pool, OWN), OWN);
    uuid4_of(bytes, uuid);
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
