/* JWS compact serialization: three parts, each base64url in its one spelling; header and claims are JSON objects. */
#include "auth/jws.h"

#include "auth/plain.h"
#include "auth/refusal.h"

enum { HEADER_SIZE_MAX = 4096 };

void jws_done(struct jws *jws)
{
    json_decref(jws->header);
    json_decref(jws->claims);
    *jws = (struct jws){0};
}

bool jws_cut(struct span token, struct span *ret_input, struct span *ret_signature)
{
    const char *dot = token.len > 0 ? memrchr(token.data, '.', token.len) : NULL;

    if (!dot)
        return false;
    size_t len = (size_t)(dot - token.data);
    *ret_input = (struct span){token.data, len};
    *ret_signature = (struct span){dot + 1, token.len - len - 1};
    return true;
}

static bool read_object(struct span part, size_t max, enum refusal why, json_t **ret_object, struct fault *fault)
{
    uint8_t bytes[TOKEN_SIZE_MAX];
    own(json_freep) json_t *value = NULL;
    size_t len;

    if (!base64url_decode(part, bytes, max, &len))
        return refuse(fault, REFUSED_MALFORMED);
    /* a fault of its own: JSON's would repeat what the token says */
    if (!json_read((struct span){(const char *)bytes, len}, "token", &value, NULL) || !json_is_object(value))
        return refuse(fault, why);
    *ret_object = give(value);
    return true;
}

static bool header_string(const json_t *header, const char *name, const char **ret_value, struct fault *fault)
{
    const json_t *member = json_object_get(header, name);
    const char *value = json_string_value(member);

    if (member && (!value || !plain_text(value, NAME_MAX_BYTES)))
        return refuse(fault, REFUSED_HEADER);
    *ret_value = value;
    return true;
}

/* Members that would have us fetch a key, trust one that came along, or read the payload otherwise than we do. */
static bool refuse_members(const json_t *header, struct fault *fault)
{
    static const char *const refused[] = {"crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "cty", "enc"};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (json_object_get(header, refused[i]))
            return refuse(fault, REFUSED_CRITICAL);
    return true;
}

static bool read_header(struct jws *jws, struct span part, struct fault *fault)
{
    const char *algorithm = NULL;

    if (!read_object(part, HEADER_SIZE_MAX, REFUSED_HEADER, &jws->header, fault) ||
        !refuse_members(jws->header, fault) || !header_string(jws->header, "alg", &algorithm, fault) ||
        !header_string(jws->header, "kid", &jws->key_id, fault) ||
        !header_string(jws->header, "typ", &jws->type, fault))
        return false;
    if (!algorithm)
        return refuse(fault, REFUSED_HEADER);
    if (!jwt_algorithm_parse(span_of(algorithm), &jws->algorithm)) /* none in any spelling is not in the table */
        return refuse(fault, REFUSED_ALGORITHM);
    return true;
}

bool jws_read(struct span token, struct jws *jws, struct fault *fault)
{
    struct span input, header, payload, signature;

    if (token.len > TOKEN_SIZE_MAX)
        return refuse(fault, REFUSED_TOO_LARGE);
    if (!jws_cut(token, &input, &signature) || !jws_cut(input, &header, &payload) ||
        memchr(header.data, '.', header.len))
        return refuse(fault, REFUSED_MALFORMED);
    if (signature.len == 0 || !base64url_decode(signature, jws->signature, sizeof(jws->signature), &jws->signature_len))
        return refuse(fault, REFUSED_MALFORMED);
    jws->input = input;
    return read_header(jws, header, fault) && read_object(payload, TOKEN_SIZE_MAX, REFUSED_CLAIMS, &jws->claims, fault);
}
