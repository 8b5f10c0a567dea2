/* JWK Sets as providers publish them: read under the rules that a configuration may give. */
#include <openssl/err.h>

#include "auth/key_files.h"
#include "auth/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void read_with(struct span json, const struct key_rules *rules)
{
    static const char input[] = "header.payload";
    own(key_set_done) struct key_set set = {0};
    uint8_t signature[SIGNATURE_SIZE_MAX] = {0};
    struct fault fault = {0};
    bool secret;

    if (!jwks_read(json, "keys.json", rules, &set, &secret, &fault)) {
        demand(fault.kind == FAULT_INVALID && strstr(fault.message, "keys.json") && set.count == 0);
        return;
    }
    demand(set.count > 0 && set.count <= KEY_SET_MAX);
    for (size_t i = 0; i < set.count; i++) {
        const struct key *key = &set.items[i];
        demand((rules->allowed & ALGORITHM_BIT(key->algorithm)) && !key->any_id);
        demand(key->signature_size > 0 && key->signature_size <= SIGNATURE_SIZE_MAX);
        demand(!key->id || plain_text(key->id, NAME_MAX_BYTES));
        /* Ed25519 has public keys under which zeros are a signature: weak ones, which only their owner could publish */
        bool good = key_verify(key, SPAN(input), (struct span){(const char *)signature, key->signature_size}, NULL);
        demand(!good || key->algorithm == ALG_EDDSA);
    }
    demand(ERR_peek_error() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct key_rules rules[] = {
        {.algorithm = NULL, .allowed = ALGORITHMS_ALL},
        {.algorithm = "RS256", .allowed = ALGORITHMS_ALL},
        {.algorithm = "HS256",
         .allowed = ALGORITHM_BIT(ALG_HS256) | ALGORITHM_BIT(ALG_ES256) | ALGORITHM_BIT(ALG_PS384)},
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        read_with((struct span){(const char *)data, size}, &rules[i]);
    return 0;
}
