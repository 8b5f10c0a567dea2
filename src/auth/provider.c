/* One provider: its metadata, its keys, and when it is asked again. */
#include "auth/key_shelf.h"
#include "auth/keyring.h"
#include "auth/published.h"
#include "bailiff/clock.h"
#include "bailiff/file.h"

struct skipping { /* for log lines */
    struct log *log;
    const struct issuer *issuer;
};

static void log_skipped(void *arg, const char *key, const char *why)
{
    const struct skipping *s = arg;

    log_write(s->log, LOG_WARNING, "keys.skipped", "A published key is not used.", L_STR("issuer", s->issuer->name),
              L_STR("key", key), L_STR("reason", why));
}

/* Random in [0, 1): so that many servers do not come at once. */
static double chance(void)
{
    uint32_t n;

    random_bytes(&n, sizeof(n));
    return n / 4294967296.0;
}

static int64_t good_until_s(const struct provider *p)
{
    return p->fetched_at_ms / 1000 + p->issuer->source.stale_max_s;
}

/* Reads the document as the provider's keys from now on. */
static bool adopt(struct keyring *k, struct provider *p, struct text *document, int64_t fetched_at_ms,
                  struct fault *fault)
{
    const struct key_source *source = &p->issuer->source;
    const struct key_rules rules = {.algorithm = source->algorithm, .allowed = source->allowed};
    struct skipping skipping = {k->log, p->issuer};
    struct key_set keys = {0};

    if (!published_keys_read(text_span(document), &rules, log_skipped, &skipping, &keys, fault))
        return false;
    p->fetched_at_ms = fetched_at_ms;
    key_bundle_unref(p->keys);
    p->keys = key_bundle_new(&keys, good_until_s(p));
    text_done(&p->document);
    p->document = *document;
    *document = (struct text){0};
    return true;
}

/* A clock that was set back must not make old keys good for longer. */
static void load_shelved(struct keyring *k, struct provider *p)
{
    struct shelved shelved = {0};
    struct fault fault = {0};

    bool found = key_shelf_get(k->folder, p->issuer, &shelved, &fault);
    shelved.fetched_at_ms = MIN(shelved.fetched_at_ms, clock_wall_ms());
    if (found && adopt(k, p, &shelved.document, shelved.fetched_at_ms, &fault))
        log_write(k->log, LOG_INFO, "keys.kept", "Keys of an earlier run are used until new ones are there.",
                  L_STR("issuer", p->issuer->name), L_INT("keys", p->keys->set.count));
    text_done(&shelved.document);
}

struct provider *provider_new(struct keyring *k, struct issuer *issuer)
{
    struct provider *p = xcalloc(1, sizeof(*p));

    p->issuer = issuer_ref(issuer);
    p->asked_ms = INT64_MIN;
    load_shelved(k, p);
    return p;
}

void provider_free(struct provider *p)
{
    issuer_unref(p->issuer);
    key_bundle_unref(p->keys);
    text_done(&p->document);
    free(p->jwks_uri);
    free(p);
}

void provider_renew(struct keyring *k, struct provider *p, struct issuer *issuer)
{
    p->discard = p->under_way; /* what comes was asked for by the old rules */
    bool moved = !str_eq(key_source_url(&p->issuer->source), key_source_url(&issuer->source));
    own(text_done) struct text document = p->document;
    struct fault fault = {0};

    p->document = (struct text){0};
    issuer_unref(p->issuer);
    p->issuer = issuer_ref(issuer);
    p->due_ms = 0;
    free(give(p->jwks_uri));
    key_bundle_unref(give(p->keys));
    if (moved || !document.data)
        p->fetched_at_ms = 0;
    else if (!adopt(k, p, &document, p->fetched_at_ms, &fault))
        snprintf(p->problem, sizeof(p->problem), "%.255s", fault.message);
}

/* ---- when it is asked again ---- */

static void schedule_refresh(struct provider *p, int64_t max_age_s, int64_t now_ms)
{
    int64_t max_ms = (int64_t)p->issuer->source.refresh_max_s * 1000;
    int64_t wait_ms = max_age_s < 0 ? REFRESH_DEFAULT_MS : max_age_s * 1000;

    wait_ms = MIN(MAX(wait_ms, (int64_t)REFRESH_MIN_MS), max_ms);
    p->due_ms = now_ms + (int64_t)((double)wait_ms * (1 - 0.05 * chance()));
    p->failures = 0;
    p->problem[0] = '\0';
}

static void schedule_retry(struct keyring *k, struct provider *p, const struct fault *fault, int64_t now_ms)
{
    unsigned doublings = MIN(p->failures, 16u);
    int64_t wait_ms = MIN((int64_t)1000 << doublings, (int64_t)BACK_OFF_MAX_MS);

    wait_ms = (int64_t)((double)wait_ms * (0.5 + 0.5 * chance()));
    p->failures++;
    p->due_ms = now_ms + wait_ms;
    free(give(p->jwks_uri)); /* it may have moved */
    snprintf(p->problem, sizeof(p->problem), "%.255s", fault->message);
    log_write(k->log, LOG_WARNING, "keys.fetch_failed", "The keys of an issuer could not be fetched.",
              L_STR("issuer", p->issuer->name), L_STR("reason", fault->message),
              L_STR("detail", fault->detail[0] ? fault->detail : NULL), L_INT("failures", p->failures),
              L_INT("next_ms", wait_ms));
}

/* ---- fetching ---- */

static bool get(struct keyring *k, struct provider *p, const char *url, struct fault *fault)
{
    const struct https_target target = {url, p->issuer->source.ca_file, p->issuer->source.proxy};

    return fetcher_get(k->fetcher, &target, p, fault);
}

int64_t provider_due_ms(const struct provider *p)
{
    int64_t allowed_ms = p->asked_ms == INT64_MIN ? 0 : p->asked_ms + (int64_t)p->issuer->source.refetch_s * 1000;

    return p->wanted ? MIN(p->due_ms, allowed_ms) : p->due_ms;
}

/* For the sake of one token the address of the keys that is known will do. */
void provider_begin(struct keyring *k, struct provider *p, int64_t now_ms)
{
    const struct key_source *source = &p->issuer->source;
    const char *keys_url = source->jwks_uri ? source->jwks_uri : p->wanted ? p->jwks_uri : NULL;
    struct fault fault = {0};

    p->for_token = p->wanted;
    if (p->wanted)
        p->asked_ms = now_ms;
    p->wanted = false;
    p->of_metadata = !keys_url;
    p->under_way = get(k, p, keys_url ? keys_url : source->discovery_url, &fault);
    if (!p->under_way)
        schedule_retry(k, p, &fault, now_ms);
}

static bool take_metadata(struct keyring *k, struct provider *p, const struct fetched *fetched, struct fault *fault)
{
    char *uri = NULL;

    if (!metadata_read(text_span(&fetched->body), p->issuer->name, &uri, fault))
        return false;
    free(p->jwks_uri);
    p->jwks_uri = uri;
    p->of_metadata = false;
    p->under_way = get(k, p, uri, fault);
    return p->under_way;
}

static bool take_keys(struct keyring *k, struct provider *p, struct fetched *fetched, bool *ret_new,
                      struct fault *fault)
{
    int64_t now_ms = clock_wall_ms();

    *ret_new = !p->keys || !span_eq(text_span(&p->document), text_span(&fetched->body));
    if (*ret_new) {
        if (!adopt(k, p, &fetched->body, now_ms, fault))
            return false;
        log_write(k->log, LOG_INFO, "keys.fetched", "New keys of an issuer are in force.",
                  L_STR("issuer", p->issuer->name), L_INT("keys", p->keys->set.count));
    } else {
        p->fetched_at_ms = now_ms;
        key_bundle_prolong(p->keys, good_until_s(p));
    }
    p->unshelved = true;
    return true;
}

bool provider_take(struct keyring *k, struct provider *p, struct fetched *fetched, int64_t now_ms)
{
    struct fault fault = fetched->fault;
    bool fresh = false;

    p->under_way = false;
    if (p->gone || p->discard) {
        p->discard = false;
        p->due_ms = now_ms;
        return false;
    }
    if (fetched->ok && p->of_metadata && take_metadata(k, p, fetched, &fault))
        return false; /* the keys are on their way */
    if (fetched->ok && fault.kind == FAULT_NONE && take_keys(k, p, fetched, &fresh, &fault))
        schedule_refresh(p, fetched->max_age_s, now_ms);
    else
        schedule_retry(k, p, &fault, now_ms);
    return fresh;
}
