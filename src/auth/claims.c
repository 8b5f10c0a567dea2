/* Claims: times, audience, subject, type and use. */
#include "auth/claims.h"
#include "auth/plain.h"
#include "auth/refusal.h"

enum { AUDIENCES_MAX = 64 };
static const double TIME_LATEST = 253402300799.0; /* 9999-12-31T23:59:59Z */

struct claimed_time {
    bool there;
    int64_t s;
};

/* A NumericDate (fractions allowed) in whole seconds. */
static bool read_time(const struct value *claims, struct span name, struct claimed_time *ret_time, struct fault *fault)
{
    const struct value *member = value_member(claims, name);
    double value = member && member->type == VALUE_NUMBER ? member->number : -1;

    if (member && !(value >= 0 && value <= TIME_LATEST))
        return refuse(fault, REFUSED_TIME);
    *ret_time = (struct claimed_time){member != NULL, member ? (int64_t)value : 0};
    return true;
}

static bool judge_times(const struct issuer *issuer, const struct value *claims, int64_t now_s, struct fault *fault)
{
    struct claimed_time expires = {0}, early = {0}, issued = {0};
    int64_t leeway = issuer->leeway_s;

    if (!read_time(claims, SPAN("exp"), &expires, fault) || !read_time(claims, SPAN("nbf"), &early, fault) ||
        !read_time(claims, SPAN("iat"), &issued, fault))
        return false;
    if (!expires.there)
        return refuse(fault, REFUSED_NO_EXPIRY);
    if (now_s >= expires.s + leeway)
        return refuse(fault, REFUSED_EXPIRED);
    if (early.there && now_s + leeway < early.s)
        return refuse(fault, REFUSED_EARLY);
    if (issued.there && now_s + leeway < issued.s)
        return refuse(fault, REFUSED_FUTURE);
    if (issued.there && expires.s <= issued.s)
        return refuse(fault, REFUSED_TIME);
    /* without iat the clocks' difference counts, so leeway does too */
    if (expires.s - (issued.there ? issued.s : now_s + leeway) > (int64_t)issuer->lifetime_max_s)
        return refuse(fault, REFUSED_LIFETIME);
    return true;
}

static bool is_ours(const struct issuer *issuer, struct span audience)
{
    for (size_t i = 0; i < issuer->audiences.count; i++)
        if (span_is(audience, issuer->audiences.items[i]))
            return true;
    return false;
}

static bool judge_audience(const struct issuer *issuer, const struct value *claims, struct fault *fault)
{
    const struct value *audience = value_member(claims, SPAN("aud"));
    size_t count = 0;
    bool ours = false;

    if (!audience)
        return refuse(fault, REFUSED_NO_AUDIENCE);
    if (audience->type == VALUE_STRING)
        return is_ours(issuer, audience->text) || refuse(fault, REFUSED_AUDIENCE);
    if (audience->type != VALUE_ARRAY || !audience->first)
        return refuse(fault, REFUSED_AUDIENCE_SHAPE);
    for (const struct value *item = audience->first; item; item = item->next) {
        if (item->type != VALUE_STRING || ++count > AUDIENCES_MAX)
            return refuse(fault, REFUSED_AUDIENCE_SHAPE);
        ours |= is_ours(issuer, item->text);
    }
    return ours || refuse(fault, REFUSED_AUDIENCE);
}

/* A claim that is a plain string; *ret_value stays NULL when it is absent. */
static bool name_claim(const struct value *claims, struct span name, enum refusal why, const char **ret_value,
                       struct fault *fault)
{
    const struct value *member = value_member(claims, name);
    const char *value = value_text(member);

    if (member && (!value || !plain_text(value, NAME_MAX_BYTES)))
        return refuse(fault, why);
    *ret_value = value;
    return true;
}

static bool judge_names(const struct value *claims, struct fault *fault)
{
    const char *subject = NULL, *ignored;

    if (!name_claim(claims, SPAN("sub"), REFUSED_SUBJECT, &subject, fault))
        return false;
    if (!subject)
        return refuse(fault, REFUSED_NO_SUBJECT);
    return name_claim(claims, SPAN("jti"), REFUSED_TOKEN_ID, &ignored, fault) &&
           name_claim(claims, SPAN("azp"), REFUSED_CLIENT, &ignored, fault) &&
           name_claim(claims, SPAN("client_id"), REFUSED_CLIENT, &ignored, fault);
}

/* typ (RFC 7515 §4.1.9): a media type without case; "application/" may be left out when no other slash is there. */
static bool judge_type(enum token_profile profile, const char *type, struct fault *fault)
{
    static const struct span prefix = {"application/", 12};
    struct span name = span_of(type);

    if (!type)
        return profile == TOKEN_PROFILE_JWT || refuse(fault, REFUSED_TYPE);
    if (name.len > prefix.len && span_ieq((struct span){name.data, prefix.len}, prefix)) {
        name.data += prefix.len;
        name.len -= prefix.len;
    }
    if (span_ieq(name, SPAN("at+jwt")) || (profile == TOKEN_PROFILE_JWT && span_ieq(name, SPAN("JWT"))))
        return true;
    return refuse(fault, REFUSED_TYPE);
}

/* cnf (RFC 7800): worthless to whoever lacks the key that it names. Of the ways to name one only the client certificate's digest
 * (RFC 8705 §3.1) can be checked here, and that must be all it says. Absent, it is fine, and *out is left alone. */
static bool confirmation_read(const struct value *cnf, uint8_t out[static CERTIFICATE_DIGEST_SIZE])
{
    const struct value *thumbprint = cnf ? value_member(cnf, SPAN("x5t#S256")) : NULL;
    size_t len = 0;

    if (!cnf)
        return true;
    return thumbprint && thumbprint == cnf->first && !thumbprint->next && thumbprint->type == VALUE_STRING &&
           base64url_decode(thumbprint->text, out, CERTIFICATE_DIGEST_SIZE, &len) && len == CERTIFICATE_DIGEST_SIZE;
}

static bool judge_use(const struct issuer *issuer, const struct value *claims, struct fault *fault)
{
    if (!confirmation_read(value_member(claims, SPAN("cnf")), (uint8_t[CERTIFICATE_DIGEST_SIZE]){0}))
        return refuse(fault, REFUSED_CONFIRMATION);
    if (issuer->require_token_use && !str_eq(value_text(value_member(claims, SPAN("token_use"))), "access"))
        return refuse(fault, REFUSED_USE);
    return true;
}

static bool judge_rules(const struct issuer *issuer, const struct value *claims, struct fault *fault)
{
    for (size_t i = 0; i < issuer->demand_count; i++) {
        const char *claim = value_text(value_at(claims, issuer->demands[i].pointer));
        if (!claim || strcmp(claim, issuer->demands[i].value) != 0)
            return refuse(fault, REFUSED_RULE);
    }
    return true;
}

bool claims_judge(const struct issuer *issuer, const struct value *claims, const char *type, int64_t now_s,
                  struct fault *fault)
{
    return judge_type(issuer->profile, type, fault) && judge_times(issuer, claims, now_s, fault) &&
           judge_audience(issuer, claims, fault) && judge_names(claims, fault) && judge_use(issuer, claims, fault) &&
           judge_rules(issuer, claims, fault);
}

static char *copy_claim(const struct value *claims, struct span name)
{
    const char *value = value_text(value_member(claims, name));

    return value ? xstrdup(value) : NULL;
}

/* A time that was found sensible before; 0: there is none. */
static int64_t judged_time(const struct value *claims, struct span name)
{
    const struct value *member = value_member(claims, name);

    return member && member->type == VALUE_NUMBER ? (int64_t)member->number : 0;
}

bool claims_identity(const struct issuer *issuer, const struct value *claims, struct identity **ret_identity,
                     struct fault *fault)
{
    own(identity_unrefp) struct identity *identity = xcalloc(1, sizeof(*identity));

    identity->references = 1;
    if (!claims_roles(issuer, claims, identity, fault))
        return false;
    identity->issuer = xstrdup(issuer->name);
    identity->subject = copy_claim(claims, SPAN("sub"));
    identity->token_id = copy_claim(claims, SPAN("jti"));
    identity->client = copy_claim(claims, SPAN("client_id"));
    if (!identity->client)
        identity->client = copy_claim(claims, SPAN("azp"));
    identity->bound = value_member(claims, SPAN("cnf")) != NULL;
    if (!confirmation_read(value_member(claims, SPAN("cnf")), identity->bound_to))
        return refuse(fault, REFUSED_CONFIRMATION);
    identity->issued_at_s = judged_time(claims, SPAN("iat"));
    identity->expires_at_s = judged_time(claims, SPAN("exp"));
    *ret_identity = give(identity);
    return true;
}
