/* JWS compact serialization: three parts, each base64url in its one spelling; header and claims are JSON objects. */
#include "auth/jws.h"

#include "auth/plain.h"
#include "auth/refusal.h"

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

static bool read_object(struct span part, char *bytes, size_t max, struct values *values, enum refusal why,
                        const struct value **ret_object, struct fault *fault)
{
    size_t len;

    if (!base64url_decode(part, (uint8_t *)bytes, max, &len))
        return refuse(fault, REFUSED_MALFORMED);
    if (!value_read(bytes, len, values, ret_object) || (*ret_object)->type != VALUE_OBJECT)
        return refuse(fault, why);
    return true;
}

static bool header_string(const struct value *header, struct span name, const char **ret_value, struct fault *fault)
{
    const struct value *member = value_member(header, name);
    const char *value = value_text(member);

    if (member && (!value || !plain_text(value, NAME_MAX_BYTES)))
        return refuse(fault, REFUSED_HEADER);
    *ret_value = value;
    return true;
}

/* Members that would have us fetch a key, trust one that came along, or read the payload otherwise than we do. */
static bool refuse_members(const struct value *header, struct fault *fault)
{
    static const struct span refused[] = {SPAN("crit"), SPAN("jku"), SPAN("jwk"), SPAN("x5u"), SPAN("x5c"),
                                          SPAN("b64"),  SPAN("zip"), SPAN("cty"), SPAN("enc")};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (value_member(header, refused[i]))
            return refuse(fault, REFUSED_CRITICAL);
    return true;
}

static bool read_header(struct jws *jws, struct span part, struct fault *fault)
{
    const struct value *header = NULL; /* its texts stay, its values make room for those of the claims */
    const char *algorithm = NULL;

    if (!read_object(part, jws->header_bytes, HEADER_SIZE_MAX, &jws->values, REFUSED_HEADER, &header, fault) ||
        !refuse_members(header, fault) || !header_string(header, SPAN("alg"), &algorithm, fault) ||
        !header_string(header, SPAN("kid"), &jws->key_id, fault) ||
        !header_string(header, SPAN("typ"), &jws->type, fault))
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
    return read_header(jws, header, fault) && read_object(payload, jws->claims_bytes, sizeof(jws->claims_bytes) - 1,
                                                          &jws->values, REFUSED_CLAIMS, &jws->claims, fault);
}
