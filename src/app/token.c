/* bailiff token: tokens for development and service accounts, and the key that signs them. */
#include "app/command.h"
#include "app/config.h"
#include "bailiff/clock.h"
#include "bailiff/quantity.h"

enum { TTL_DEFAULT_MS = 3600 * 1000, ROLES_MAX = 64 };

struct signer { /* who signs, and for how long at most */
    const char *issuer, *audience, *key_file, *algorithm, *key_id;
    uint64_t ttl_max_ms;
};

/* ---- token issue ---- */
static const struct config_issuer *find_issuer(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->issuers.count; i++)
        if (str_eq(config_issuer(c, i)->issuer, name))
            return config_issuer(c, i);
    return NULL;
}

static bool read_signer(struct call *call, const struct config *c, struct signer *s)
{
    const struct config_issuer *issuer = find_issuer(c, c->signing.issuer);
    const char *audience = call_value(call, "audience");
    bool known = !audience;

    for (size_t i = 0; audience && i < issuer->audiences.count; i++)
        known = known || strcmp(issuer->audiences.items[i], audience) == 0;
    if (!known) {
        call_fail(call, STATUS_USAGE,
                  "the server would refuse a token for \"%s\": that is not among the issuer's audiences.", audience);
        return false;
    }
    *s = (struct signer){
        .issuer = c->signing.issuer,
        .audience = audience ? audience : c->signing.audience,
        .key_file = c->signing.key,
        .algorithm = issuer->algorithm,
        .key_id = issuer->key_id,
        .ttl_max_ms = issuer->lifetime_max_ms,
    };
    return true;
}

static bool read_ttl(struct call *call, const struct signer *s, unsigned *ret_ttl_s)
{
    const char *text = call_value(call, "ttl");
    uint64_t ttl_ms = MIN((uint64_t)TTL_DEFAULT_MS, s->ttl_max_ms);
    own(text_done) struct text max = {0};

    if (text && (!duration_parse(span_of(text), &ttl_ms) || ttl_ms < 1000 || ttl_ms % 1000 != 0)) {
        call_fail(call, STATUS_USAGE, "--ttl: \"%s\" is not a time of at least a second, such as 90s, 30m or 24h.",
                  text);
        return false;
    }
    if (ttl_ms > s->ttl_max_ms) {
        duration_format(s->ttl_max_ms, &max);
        call_fail(call, STATUS_USAGE,
                  "--ttl: %s is longer than the %s that the server accepts (lifetime_max of the issuer).", text,
                  max.data);
        return false;
    }
    *ret_ttl_s = (unsigned)(ttl_ms / 1000);
    return true;
}

static int issue(struct call *call, const struct signer *s)
{
    const struct id_list *roles = call_values(call, "role");
    own(freep) char *token = NULL;
    struct fault fault = {0};
    struct token_request request = {
        .issuer = s->issuer,
        .audience = s->audience,
        .subject = call_value(call, "sub"),
        .roles = roles->items,
        .role_count = roles->count,
        .key_file = s->key_file,
        .algorithm = s->algorithm,
        .key_id = s->key_id,
        .certificate_file = call_value(call, "certificate"),
    };

    if (roles->count > ROLES_MAX)
        return call_fail(call, STATUS_USAGE, "a token may have at most %d roles.", ROLES_MAX);
    if (!read_ttl(call, s, &request.ttl_s))
        return STATUS_USAGE;
    if (!token_issue(&request, clock_wall_ms() / 1000, &token, &fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    fprintf(call->out, "%s\n", token);
    explicit_bzero(token, strlen(token));
    return STATUS_OK;
}

/* A role that the server does not know grants nothing: better said now than wondered about later. */
static bool check_roles(struct call *call, const struct config *c)
{
    const struct id_list *roles = call_values(call, "role");
    struct policy *policy = NULL;
    bool fine = true;

    if (!policy_load(c->policy.roles, &policy, NULL))
        return true; /* not to be read from here; the server will judge */
    for (size_t i = 0; i < roles->count && fine; i++) {
        size_t n = 0;

        while (n < policy_role_count(policy) && strcmp(policy_role_name(policy, n), roles->items[i]) != 0)
            n++;
        if (n == policy_role_count(policy)) {
            call_fail(call, STATUS_USAGE, "--role: there is no role \"%s\" in %s.", roles->items[i], c->policy.roles);
            fine = false;
        }
    }
    policy_unref(policy);
    return fine;
}

static int issue_configured(struct call *call)
{
    struct problems problems;
    own(config_freep) struct config *c = config_load(config_path(call_value(call, "config")), CONFIG_TEXT, &problems);
    bool good = c && problems.mistakes == 0;
    struct signer s;

    if (!good)
        problems_print(&problems, call->err);
    problems_done(&problems);
    if (!good)
        return STATUS_CONFIG;
    if (!c->signing.key)
        return call_fail(call, STATUS_CONFIG,
                         "%s has no section `signing`; add one, or give --key, --issuer and --audience.", c->file);
    if (!read_signer(call, c, &s) || !check_roles(call, c))
        return STATUS_USAGE;
    return issue(call, &s);
}

static int run_issue(struct call *call)
{
    struct signer s = {
        .issuer = call_value(call, "issuer"),
        .audience = call_value(call, "audience"),
        .key_file = call_value(call, "key"),
        .ttl_max_ms = UINT64_C(366) * 24 * 3600 * 1000,
    };

    if (!s.key_file && !s.issuer)
        return issue_configured(call);
    if (!s.key_file || !s.issuer || !s.audience)
        return call_fail(call, STATUS_USAGE,
                         "--key, --issuer and --audience belong together; give all three, or none of --key and "
                         "--issuer.");
    if (call_has(call, "config"))
        return call_fail(call, STATUS_USAGE, "--config has no effect beside --key and --issuer; leave it out.");
    return issue(call, &s);
}

static const struct command_option ISSUE_OPTIONS[] = {
    {"sub", "SUBJECT", true, false, "who the token is for"},
    {"role", "ROLE", false, true, "a role, such as TAIPY_READER; may be given again"},
    {"ttl", "TIME", false, false, "how long it is good (default 1h)"},
    {"audience", "AUDIENCE", false, false, "its aud (default: the configuration's)"},
    {"certificate", "FILE", false, false, "bind it to this client certificate: it is good with no other"},
    CONFIG_OPTION,
    {"key", "FILE", false, false, "sign with this PEM key or secret instead of the configuration's"},
    {"issuer", "ISSUER", false, false, "its iss, with --key"},
};

const struct command COMMAND_TOKEN_ISSUE = {
    .name = "token issue",
    .summary = "makes a bearer token for development or a service account",
    .about =
        "Signs with the key that the configuration's section `signing` names, and prints the token and nothing else:\n"
        "    (umask 077; bailiff token issue --sub ci --role TAIPY_EXECUTOR --ttl 8h > ci.jwt)\n"
        "The server need not run. Whoever can read the key can be anyone: keep it where only its owner reads it.\n",
    .options = ISSUE_OPTIONS,
    .option_count = ARRAY_LEN(ISSUE_OPTIONS),
    .run = run_issue,
};

/* ---- token keygen ---- */
static int run_keygen(struct call *call)
{
    const char *private_file = call_value(call, "private"), *jwks_file = call_value(call, "jwks");
    struct fault fault = {0};

    if (!token_key_generate(private_file, jwks_file, &fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    fprintf(call->out, "Made %s (private: signing.key) and %s (public: jwks_file of an issuer).\n", private_file,
            jwks_file);
    return STATUS_OK;
}

static const struct command_option KEYGEN_OPTIONS[] = {
    {"private", "FILE", true, false, "the private key to make, in PEM, readable by its owner only"},
    {"jwks", "FILE", true, false, "the JSON Web Key Set to make, with the public key"},
};

const struct command COMMAND_TOKEN_KEYGEN = {
    .name = "token keygen",
    .summary = "makes a key that signs tokens (EC P-256, for ES256)",
    .about = "Makes both files, and refuses to overwrite either. The configuration names them:\n"
             "    issuers: [{..., jwks_file: signing-jwks.json}]\n"
             "    signing: {..., key: signing-key.pem}\n",
    .options = KEYGEN_OPTIONS,
    .option_count = ARRAY_LEN(KEYGEN_OPTIONS),
    .run = run_keygen,
};
