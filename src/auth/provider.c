/* One provider: its metadata, its keys, and when it is asked again. */
#include "auth/key_shelf.h"
#include "auth/keyring.h"
#include "auth/published.h"
#include "bailiff/clock.h"
#include "bailiff/random.h"

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

/* Without the lock: checking keys takes as long as their issuer likes, within bounds. */
static bool read_keys(const struct keyring *k, const struct issuer *issuer, const struct text *document,
                      struct key_bundle **ret_keys, struct fault *fault)
{
    const struct key_source *source = &issuer->source;
    const struct key_rules rules = {.algorithm = source->algorithm, .allowed = source->allowed};
    struct skipping skipping = {k->log, issuer};
    struct key_set keys = {0};

    if (!published_keys_read(text_span(document), &rules, log_skipped, &skipping, &keys, fault))
        return false;
    *ret_keys = key_bundle_new(&keys, 0);
    return true;
}

static void confirm(struct provider *p, int64_t fetched_at_ms)
{
    p->fetched_at_ms = fetched_at_ms;
    key_bundle_prolong(p->keys, p->fetched_at_ms / 1000 + p->issuer->source.stale_max_s);
}

/* These are the provider's keys from now on, and the document that they are from. */
static void adopt(struct provider *p, struct key_bundle **keys, struct text *document, int64_t fetched_at_ms)
{
    key_bundle_unref(p->keys);
    p->keys = give(*keys);
    text_done(&p->document);
    p->document = *document;
    *document = (struct text){0};
    confirm(p, fetched_at_ms);
}

/* A clock that was set back must not make old keys good for longer. */
static void load_shelved(const struct keyring *k, struct provider *p)
{
    struct shelved shelved = {0};
    struct key_bundle *keys = NULL;
    struct fault fault = {0};

    if (key_shelf_get(k->folder, p->issuer, &shelved, &fault) &&
        read_keys(k, p->issuer, &shelved.document, &keys, &fault)) {
        adopt(p, &keys, &shelved.document, MIN(shelved.fetched_at_ms, clock_wall_ms()));
        log_write(k->log, LOG_INFO, "keys.kept", "Keys of an earlier run are used until new ones are there.",
                  L_STR("issuer", p->issuer->name), L_INT("keys", p->keys->set.count));
    }
    text_done(&shelved.document);
}

struct provider *provider_new(const struct keyring *k, struct issuer *issuer)
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

static void copy_document(struct keyring *k, const struct provider *p, struct text *out)
{
    LOCKED(k);

    text_append_span(out, text_span(&p->document));
}

/* False: another document came while this one was read. */
static bool try_renew(struct keyring *k, struct provider *p, struct issuer *issuer)
{
    bool moved = !str_eq(key_source_url(&p->issuer->source), key_source_url(&issuer->source));
    own(text_done) struct text document = {0};
    own(key_bundle_unrefp) struct key_bundle *keys = NULL;
    struct fault fault = {0};

    if (!moved)
        copy_document(k, p, &document);
    bool usable = document.len > 0 && read_keys(k, issuer, &document, &keys, &fault);
    LOCKED(k);
    if (!moved && !span_eq(text_span(&document), text_span(&p->document)))
        return false;
    p->discard = p->under_way; /* what comes was asked for by the old rules */
    issuer_unref(p->issuer);
    p->issuer = issuer_ref(issuer);
    p->due_ms = 0;
    free(give(p->jwks_uri));
    if (usable) {
        adopt(p, &keys, &document, p->fetched_at_ms);
        return true;
    }
    key_bundle_unref(give(p->keys));
    text_done(&p->document);
    if (document.len == 0)
        p->fetched_at_ms = 0;
    else
        snprintf(p->problem, sizeof(p->problem), "%.255s", fault.message);
    return true;
}

void provider_renew(struct keyring *k, struct provider *p, struct issuer *issuer)
{
    while (!try_renew(k, p, issuer))
        ;
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

/* The metadata said where the keys are. */
static bool go_on(struct keyring *k, struct provider *p, char *jwks_uri, struct fault *fault)
{
    free(p->jwks_uri);
    p->jwks_uri = jwks_uri;
    p->of_metadata = false;
    p->under_way = get(k, p, jwks_uri, fault);
    return p->under_way;
}

/* By whose rules what came is to be read, counted; NULL: it is not, for it is not wanted any more, or the same again. */
static struct issuer *reading_for(struct keyring *k, const struct provider *p, const struct fetched *fetched)
{
    LOCKED(k);
    bool wanted = fetched->ok && !p->gone && !p->discard;
    bool known = !p->of_metadata && p->keys && span_eq(text_span(&p->document), text_span(&fetched->body));

    return wanted && !known ? issuer_ref(p->issuer) : NULL;
}

/* keys: *NULL: the same again. */
static void take_keys(const struct keyring *k, struct provider *p, struct key_bundle **keys, struct text *document,
                      int64_t fetched_at_ms)
{
    p->unshelved = true;
    if (!*keys) {
        confirm(p, fetched_at_ms);
        return;
    }
    adopt(p, keys, document, fetched_at_ms);
    log_write(k->log, LOG_INFO, "keys.fetched", "New keys of an issuer are in force.", L_STR("issuer", p->issuer->name),
              L_INT("keys", p->keys->set.count));
}

bool provider_take(struct keyring *k, struct provider *p, struct fetched *fetched, int64_t now_ms)
{
    int64_t fetched_at_ms = clock_wall_ms();
    own(issuer_unrefp) struct issuer *issuer = reading_for(k, p, fetched);
    own(key_bundle_unrefp) struct key_bundle *keys = NULL;
    own(freep) char *jwks_uri = NULL;
    struct fault fault = fetched->fault;
    bool ok = fetched->ok;

    if (issuer)
        ok = p->of_metadata ? metadata_read(text_span(&fetched->body), issuer->name, &jwks_uri, &fault)
                            : read_keys(k, issuer, &fetched->body, &keys, &fault);
    bool fresh = keys != NULL;
    LOCKED(k);
    p->under_way = false;
    if (p->gone || p->discard) { /* also while it was read */
        p->discard = false;
        p->wanted |= p->for_token; /* who waits for it waits for the next */
        p->due_ms = now_ms;
        return false;
    }
    if (jwks_uri)
        ok = go_on(k, p, give(jwks_uri), &fault);
    if (p->under_way)
        return false; /* the keys are on their way */
    if (ok) {
        take_keys(k, p, &keys, &fetched->body, fetched_at_ms);
        schedule_refresh(p, fetched->max_age_s, now_ms);
    } else {
        schedule_retry(k, p, &fault, now_ms);
    }
    return fresh;
}
