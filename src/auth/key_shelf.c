#include "auth/key_shelf.h"

#include "auth/key_files.h"
#include "bailiff/file.h"

enum { SHELVED_MAX = 2 * JWKS_SIZE_MAX };

static bool shelf_path(const char *folder, const struct issuer *issuer, char **ret_path, struct fault *fault)
{
    uint8_t digest[32];
    char hex[2 * sizeof(digest) + 1];
    size_t len = 0;

    if (EVP_Q_digest(NULL, "SHA256", NULL, issuer->name, strlen(issuer->name), digest, &len) != 1 ||
        len != sizeof(digest))
        return fault_internal(fault, "OpenSSL cannot compute SHA-256");
    hex_encode(digest, sizeof(digest), hex);
    *ret_path = xprintf("%s/%s.json", folder, hex);
    return true;
}

/* What was fetched from elsewhere, before the configuration was changed, says nothing about who is configured now. */
static bool read_shelved(const json_t *document, const struct issuer *issuer, struct shelved *ret, struct fault *fault)
{
    const char *name = json_string_value(json_object_get(document, "issuer"));
    const char *from = json_string_value(json_object_get(document, "from"));
    const json_t *time = json_object_get(document, "fetched_at_ms"), *keys = json_object_get(document, "jwks");

    if (!str_eq(name, issuer->name) || !str_eq(from, key_source_url(&issuer->source)) || !json_is_integer(time) ||
        !json_is_object(keys))
        return fault_set(fault, FAULT_NOT_FOUND, "the keys kept are of another issuer or address");
    char *text = json_dumps(keys, JSON_COMPACT);
    if (!text)
        return fault_internal(fault, "jansson cannot write keys");
    text_append_str(&ret->document, text);
    free(text);
    ret->fetched_at_ms = json_integer_value(time);
    return true;
}

bool key_shelf_get(const char *folder, const struct issuer *issuer, struct shelved *ret, struct fault *fault)
{
    own(freep) char *path = NULL;
    own(text_done) struct text content = {0};
    own(json_freep) json_t *document = NULL;

    return shelf_path(folder, issuer, &path, fault) && file_read_secret(path, SHELVED_MAX, &content, fault) &&
           json_read(text_span(&content), path, &document, fault) && read_shelved(document, issuer, ret, fault);
}

bool key_shelf_put(const char *folder, const struct issuer *issuer, const struct shelved *shelved, struct fault *fault)
{
    own(freep) char *path = NULL;
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "issuer", issuer->name);
    jw_member_string(&json, "from", key_source_url(&issuer->source));
    jw_member_int(&json, "fetched_at_ms", shelved->fetched_at_ms);
    jw_key(&json, "jwks");
    jw_raw(&json, shelved->document.data, shelved->document.len);
    jw_close(&json, '}');
    text_append_char(&json, '\n');
    return shelf_path(folder, issuer, &path, fault) && folder_make(folder, 0700, fault) &&
           file_write_durable(path, json.data, json.len, 0600, fault);
}
