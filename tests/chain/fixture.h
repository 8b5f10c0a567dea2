/* The real chain, store, policy and keys, without a socket: requests go in as values, replies come out as values. */
#ifndef BAILIFF_TESTS_CHAIN_FIXTURE_H
#define BAILIFF_TESTS_CHAIN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/routes.h"
#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "bailiff/middleware.h"

struct world {
    char folder[64];
    struct services services;
    struct bench bench;
    struct snapshot *snapshot;
    pthread_mutex_t lock;
    struct manifest *manifest;
    struct inbox *inbox;
    int wake_fd;
    void (*when_answered)(struct world *w); /* once: the answer goes out, and the exchange is not over yet */
};

struct reply {
    int status;
    struct text body;
    struct text headers; /* "name: value\n" each */
    bool failed;         /* the body's source failed */
};

static inline void world_wake(void *fd)
{
    uint64_t one = 1;
    if (write(*(int *)fd, &one, sizeof(one)) < 0)
        abort();
}

#define world_path(w, name) xprintf("%s/%s", (w)->folder, (name))

static const char WORLD_MANIFEST[] =
    "{\"format\":1,\"version\":\"development\",\"root\":\"/nonexistent\",\"workers\":1,"
    "\"data_nodes\":["
    "{\"id\":\"nb\",\"scope\":\"SCENARIO\",\"storage_type\":\"pickle\",\"default_file\":\"nb.p\",\"path\":null,"
    "\"validity_period_ms\":null,\"properties\":{}},"
    "{\"id\":\"doubled\",\"scope\":\"SCENARIO\",\"storage_type\":\"pickle\",\"default_file\":null,\"path\":null,"
    "\"validity_period_ms\":null,\"properties\":{}}],"
    "\"tasks\":[{\"id\":\"double\",\"module\":\"fns\",\"function\":\"double\",\"command\":null,\"environment\":{},"
    "\"inputs\":[\"nb\"],\"outputs\":[\"doubled\"],\"skippable\":false,\"timeout_ms\":0}],"
    "\"scenarios\":[]}";

static inline void must(bool ok, const struct fault *fault)
{
    if (!ok)
        fail_msg("%s (%s)", fault->message, fault->detail);
}

static inline void world_keys(struct world *w, struct verifier **ret_verifier)
{
    struct fault fault = {0};
    own(freep) char *key = world_path(w, "key.pem");
    own(freep) char *jwks = world_path(w, "jwks.json");
    static const char *const audiences[] = {"bailiff"};

    must(token_key_generate(key, jwks, &fault), &fault);
    const struct issuer_options issuer = {
        .issuer = "https://issuer.test",
        .audiences = audiences,
        .audience_count = 1,
        .jwks_file = jwks,
        .require_token_use = true,
        .where = "test",
    };
    must(verifier_new(&issuer, 1, ret_verifier, &fault), &fault);
}

static inline void world_on_jobs(void *hub, const struct job_event *events, size_t count)
{
    event_hub_tell(hub, events, count);
}

static inline struct world *world_new(void)
{
    static const char *const origins[] = {"https://portal.test"};
    struct world *w = xcalloc(1, sizeof(*w));
    struct fault fault = {0};
    struct policy *policy = NULL;
    struct verifier *verifier = NULL;

    strcpy(w->folder, "/tmp/bailiff-chain-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->wake_fd = eventfd(0, EFD_CLOEXEC);
    w->inbox = inbox_new(world_wake, &w->wake_fd);
    must(policy_load("policies/roles.yaml", &policy, &fault), &fault);
    world_keys(w, &verifier);
    w->snapshot = snapshot_new(policy, verifier);
    must(manifest_read(span_of(WORLD_MANIFEST), &w->manifest, &fault), &fault);
    pthread_mutex_init(&w->lock, NULL);

    struct services *s = &w->services;
    own(freep) char *folder = world_path(w, "data");
    s->hub = event_hub_new();
    s->heartbeat_ms = 60000;
    must(store_open(&(struct store_options){.folder = folder, .on_jobs = world_on_jobs, .on_jobs_arg = s->hub},
                    &s->store, &fault),
         &fault);
    s->manifest = w->manifest;
    s->public_url = "https://bailiff.test";
    s->realm = "bailiff";
    s->cors_origins = origins;
    s->cors_origin_count = 1;
    s->limits.refusals_recorded_a_minute = 1000;
    s->refusals = refusal_ledger_new();
    s->quotas = quota_ledger_new(&s->limits);
    s->inflight = inflight_keys_new();
    s->revocations = revocations_new();
    s->snapshot_lock = &w->lock;
    s->snapshot = &w->snapshot;
    must(store_reader_open(s->store, &w->bench.reader, &fault), &fault);
    w->bench.tokens = token_cache_new(64);
    token_cache_watch(w->bench.tokens, s->revocations);
    w->bench.snapshot = services_pin(s);
    return w;
}

static inline void world_free(struct world *w)
{
    store_reader_free(w->bench.reader);
    token_cache_free(w->bench.tokens);
    snapshot_unref(w->bench.snapshot);
    store_close(w->services.store);
    event_hub_free(w->services.hub);
    revocations_free(w->services.revocations);
    refusal_ledger_free(w->services.refusals);
    quota_ledger_free(w->services.quotas);
    inflight_keys_free(w->services.inflight);
    snapshot_unref(w->snapshot);
    manifest_free(w->manifest);
    inbox_free(w->inbox);
    close(w->wake_fd);
    pthread_mutex_destroy(&w->lock);
    own(freep) char *remove = xprintf("rm -rf %s", w->folder);
    assert_int_equal(system(remove), 0);
    free(w);
}

static inline char *world_token(struct world *w, const char *subject, const char *role)
{
    struct fault fault = {0};
    char *token = NULL;
    own(freep) char *key = world_path(w, "key.pem");
    const struct token_request request = {
        .issuer = "https://issuer.test",
        .audience = "bailiff",
        .subject = subject,
        .roles = &role,
        .role_count = 1,
        .ttl_s = 3600,
        .key_file = key,
    };
    must(token_issue(&request, clock_wall_ms() / 1000, &token, &fault), &fault);
    return token;
}

static inline void reply_done(struct reply *r)
{
    text_done(&r->body);
    text_done(&r->headers);
}

static inline void world_answer(struct exchange *x)
{
    *(bool *)x->server_data = true;
}

/* What a server does on each turn: ends the read transaction, delivers what came home. */
static inline void world_turn(struct world *w)
{
    struct pollfd p = {w->wake_fd, POLLIN, 0};
    uint64_t count;

    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(read(w->wake_fd, &count, sizeof(count)), sizeof(count));
    store_reader_turn_end(w->bench.reader);
    inbox_drain(w->inbox);
}

static inline void exchange_add_header(struct exchange *x, const char *name, const char *value)
{
    struct header_list *h = &x->request_headers;

    h->items = xrealloc(h->items, (h->count + 1) * sizeof(*h->items));
    h->items[h->count++] = (struct header){span_of(name), span_of(value)};
}

static inline void pull_source(struct exchange *x, struct reply *ret)
{
    struct body_source *source = x->response.source;
    enum source_state state;

    do
        state = source->pull(source, &ret->body);
    while (state == SOURCE_MORE);
    ret->failed = state != SOURCE_END;
}

/* A request under way: what a server keeps of it. In place, and not moved. */
struct request {
    struct exchange x;
    bool answered;
    struct arena texts;
};

/* Until there is an answer. headers: "name: value" strings, NULL-terminated; token may be NULL. Names in lower case, as the server gives
 * them. */
static inline void request_start(struct request *r, struct world *w, const char *method, const char *target,
                                 const char *token, const char *const *headers, const char *body)
{
    struct exchange *x = &r->x;

    memset(r, 0, sizeof(*r));
    target = arena_strdup(&r->texts, target);
    const char *question = strchr(target, '?');
    x->chain = &BAILIFF_CHAIN;
    x->services = &w->services;
    x->bench = &w->bench;
    x->inbox = w->inbox;
    x->method_text = span_of(method);
    x->method = method_parse(x->method_text);
    x->path = question ? (struct span){target, (size_t)(question - target)} : span_of(target);
    x->query = question ? span_of(question + 1) : (struct span){0};
    x->body = span_of(body);
    x->address = "192.0.2.1";
    x->secure = true;
    x->answer = world_answer;
    x->server_data = &r->answered;
    if (token)
        exchange_add_header(x, "authorization", arena_printf(&r->texts, "Bearer %s", token));
    for (; headers && *headers; headers++) {
        const char *colon = strchr(*headers, ':');
        exchange_add_header(x, arena_strndup(&r->texts, *headers, (size_t)(colon - *headers)), colon + 2);
    }
    chain_start(x);
    while (!r->answered)
        world_turn(w);
}

static inline void request_finish(struct request *r, struct world *w)
{
    chain_finish(&r->x);
    store_reader_turn_end(w->bench.reader);
    arena_done(&r->texts);
    free(r->x.request_headers.items);
}

static inline void request_headers_sent(const struct request *r, struct text *out)
{
    const struct header_list *h = &r->x.response.headers;

    text_append(out, "\n", 1);
    for (size_t i = 0; i < h->count; i++) {
        text_append_span(out, h->items[i].name);
        text_append_str(out, ": ");
        text_append_span(out, h->items[i].value);
        text_append_char(out, '\n');
    }
}

/* A request and its reply, the body's source pulled to its end. */
static inline struct reply call(struct world *w, const char *method, const char *target, const char *token,
                                const char *const *headers, const char *body)
{
    struct reply reply = {0};
    struct request r;

    request_start(&r, w, method, target, token, headers, body);
    if (w->when_answered) {
        void (*when_answered)(struct world *) = give(w->when_answered);
        when_answered(w);
    }
    reply.status = r.x.response.status;
    text_append(&reply.body, r.x.response.body.data, r.x.response.body.len);
    if (r.x.response.source)
        pull_source(&r.x, &reply);
    request_headers_sent(&r, &reply.headers);
    request_finish(&r, w);
    return reply;
}

static inline bool reply_has(const struct reply *r, const char *header_line)
{
    own(freep) char *line = xprintf("\n%s\n", header_line);
    return strstr(r->headers.data, line) != NULL;
}

/* A member of the reply's JSON body by pointer, as a string of the caller's; fails the test if it is not there. */
static inline char *reply_string(const struct reply *r, const char *pointer)
{
    struct fault fault = {0};
    own(json_freep) json_t *body = NULL;

    must(json_read(text_span(&r->body), "The reply", &body, &fault), &fault);
    const char *s = json_string_value(json_pointer(body, pointer));
    if (!s)
        fail_msg("no string at %s in %s", pointer, r->body.data);
    return xstrdup(s);
}

static inline size_t reply_array_size(const struct reply *r, const char *pointer)
{
    struct fault fault = {0};
    own(json_freep) json_t *body = NULL;

    must(json_read(text_span(&r->body), "The reply", &body, &fault), &fault);
    return json_array_size(json_pointer(body, pointer));
}

#endif
