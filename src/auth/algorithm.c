/* The table of algorithms (RFC 7518 §3.1, RFC 8037 §3.1). */
#include "auth/algorithm.h"

static const struct algorithm ALGORITHMS[ALG_COUNT] = {
    [ALG_RS256] = {"RS256", FAMILY_RSA, "SHA256", 32, NULL, NULL, 0},
    [ALG_RS384] = {"RS384", FAMILY_RSA, "SHA384", 48, NULL, NULL, 0},
    [ALG_RS512] = {"RS512", FAMILY_RSA, "SHA512", 64, NULL, NULL, 0},
    [ALG_PS256] = {"PS256", FAMILY_PSS, "SHA256", 32, NULL, NULL, 0},
    [ALG_PS384] = {"PS384", FAMILY_PSS, "SHA384", 48, NULL, NULL, 0},
    [ALG_PS512] = {"PS512", FAMILY_PSS, "SHA512", 64, NULL, NULL, 0},
    [ALG_ES256] = {"ES256", FAMILY_EC, "SHA256", 32, "P-256", "prime256v1", 32},
    [ALG_ES384] = {"ES384", FAMILY_EC, "SHA384", 48, "P-384", "secp384r1", 48},
    [ALG_ES512] = {"ES512", FAMILY_EC, "SHA512", 64, "P-521", "secp521r1", 66},
    [ALG_EDDSA] = {"EdDSA", FAMILY_EDDSA, NULL, 0, NULL, NULL, 0},
    [ALG_HS256] = {"HS256", FAMILY_HMAC, "SHA256", 32, NULL, NULL, 0},
    [ALG_HS384] = {"HS384", FAMILY_HMAC, "SHA384", 48, NULL, NULL, 0},
    [ALG_HS512] = {"HS512", FAMILY_HMAC, "SHA512", 64, NULL, NULL, 0},
};

const struct algorithm *algorithm_get(enum jwt_algorithm a)
{
    return &ALGORITHMS[a];
}

const char *jwt_algorithm_name(enum jwt_algorithm a)
{
    return (unsigned)a < ALG_COUNT ? ALGORITHMS[a].name : "unknown";
}

bool jwt_algorithm_parse(struct span s, enum jwt_algorithm *ret)
{
    for (unsigned a = 0; a < ALG_COUNT; a++) {
        if (span_is(s, ALGORITHMS[a].name)) {
            *ret = (enum jwt_algorithm)a;
            return true;
        }
    }
    return false;
}

algorithm_set algorithms_of_family(enum key_family family)
{
    algorithm_set set = 0;

    for (unsigned a = 0; a < ALG_COUNT; a++)
        if (ALGORITHMS[a].family == family)
            set |= ALGORITHM_BIT(a);
    return set;
}

void algorithms_text(algorithm_set set, struct text *out)
{
    for (unsigned a = 0; a < ALG_COUNT; a++) {
        if (!(set & ALGORITHM_BIT(a)))
            continue;
        if (out->len > 0)
            text_append_str(out, ", ");
        text_append_str(out, ALGORITHMS[a].name);
    }
}
