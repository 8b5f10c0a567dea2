/* While a key set is read, which takes as long as its issuer likes: loops ask, issuers are configured anew or not at all any more. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "auth/key_shelf.h"
#include "auth/keyring.h"
#include "bailiff/clock.h"
#include "unit/auth_jwks.h"

#define NOWHERE "https://127.0.0.1:1/keys"

enum { COSTLY = 25 }; /* keys of 4096 bits */

static EVP_PKEY *ec;
static char *costly, *cheap;

static int make(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(4096);
    struct text keys = {0};

    assert_non_null(rsa);
    for (unsigned i = 0; i < COSTLY; i++) {
        own(freep) char *more = xprintf(",\"alg\":\"RS256\",\"kid\":\"costly%u\"", i);
        own(freep) char *jwk = rsa_jwk(rsa, more);
        text_printf(&keys, ",%s", jwk);
    }
    costly = xprintf("{\"keys\":[\"no key\"%s]}", keys.data); /* a line in the log says that it is being read */
    text_done(&keys);
    EVP_PKEY_free(rsa);
    ec = test_key(ALG_ES256);
    own(freep) char *jwk = ec_jwk(ec, "P-256", 32, ",\"kid\":\"cheap\"");
    cheap = xprintf("{\"keys\":[%s]}", jwk);
    return test_folder_make(state);
}

static int unmake(void **state)
{
    EVP_PKEY_free(ec);
    free(costly);
    free(cheap);
    return test_folder_remove(state);
}

struct scene {
    struct keyring *k;
    struct provider *p;
    struct verifier *bare;
    struct log *log;
    int lines[2]; /* of the log: a pipe */
    /* what goes on on another thread */
    pthread_t thread;
    const struct verifier *to_equip;
    struct verifier *equipped;
    bool fresh;
    int64_t took_us;
    atomic_bool done;
};

static struct verifier *fetched_verifier(unsigned leeway_s)
{
    struct issuer_options o = test_options();

    o.fetch.jwks_uri = NOWHERE;
    o.leeway_s = leeway_s;
    return test_verifier(&o);
}

static void set_under_way(struct scene *s)
{
    LOCKED(s->k);

    s->p->under_way = s->p->for_token = true;
}

static bool take(struct scene *s, const char *keys)
{
    struct fetched fetched = {.ok = true, .max_age_s = -1};

    text_append_str(&fetched.body, keys);
    set_under_way(s);
    bool fresh = provider_take(s->k, s->p, &fetched, clock_mono_ms());
    fetched_done(&fetched);
    return fresh;
}

static struct scene *scene_new(const char *name)
{
    struct scene *s = xcalloc(1, sizeof(*s));
    own(freep) char *folder = test_path(name);
    struct fault fault = {0};

    assert_int_equal(pipe(s->lines), 0);
    s->log = log_new(s->lines[1], LOG_TEXT, LOG_WARNING);
    const struct keyring_options options = {.folder = folder, .log = s->log};
    assert_true(keyring_new(&options, &s->k, &fault));
    s->bare = fetched_verifier(30);
    return s;
}

static void scene_free(struct scene *s)
{
    verifier_unref(s->equipped);
    verifier_unref(s->bare);
    keyring_free(s->k);
    log_free(s->log);
    close(s->lines[0]);
    close(s->lines[1]);
    free(s);
}

static void equip_now(struct scene *s, const struct verifier *v)
{
    verifier_unref(keyring_equip(s->k, v));
}

/* With these keys. */
static struct scene *scene_with(const char *name, const char *keys)
{
    struct scene *s = scene_new(name);

    equip_now(s, s->bare);
    s->p = s->k->providers;
    assert_true(take(s, keys));
    return s;
}

static void *take_costly(void *arg)
{
    struct scene *s = arg;
    int64_t begun_us = clock_mono_us();

    s->fresh = take(s, costly);
    s->took_us = clock_mono_us() - begun_us;
    s->done = true;
    return NULL;
}

static void *equip_costly(void *arg)
{
    struct scene *s = arg;
    int64_t begun_us = clock_mono_us();

    s->equipped = keyring_equip(s->k, s->to_equip);
    s->took_us = clock_mono_us() - begun_us;
    s->done = true;
    return NULL;
}

/* Goes on when the keys are being read. */
static void begin(struct scene *s, void *(*work)(void *))
{
    struct pollfd p = {s->lines[0], POLLIN, 0};
    char line[4096];

    while (poll(&p, 1, 0) == 1)
        assert_true(read(s->lines[0], line, sizeof(line)) > 0);
    assert_int_equal(pthread_create(&s->thread, NULL, work, s), 0);
    assert_int_equal(poll(&p, 1, 60000), 1);
}

static void end(struct scene *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
}

/* Whoever asks meanwhile waits for the lock, never for the keys. */
static void ask_until_done(struct scene *s)
{
    int64_t longest_us = 0;
    unsigned asked = 0;

    for (; !s->done; asked++) {
        int64_t begun_us = clock_mono_us();
        assert_false(keyring_ask(s->k, "https://nobody.example.com", NULL));
        longest_us = MAX(longest_us, clock_mono_us() - begun_us);
        usleep(1000);
    }
    end(s);
    print_message("asked %u times, for %lld us at most, in %lld us\n", asked, (long long)longest_us,
                  (long long)s->took_us);
    assert_true(asked > 0);
    assert_true(longest_us < s->took_us / 2);
}

static void has_costly(const struct scene *s)
{
    assert_int_equal(s->p->keys->set.count, COSTLY);
    assert_string_equal(s->p->document.data, costly);
    assert_true(key_bundle_good_until(s->p->keys) > clock_wall_ms() / 1000);
}

static void has_cheap(const struct scene *s)
{
    assert_int_equal(s->p->keys->set.count, 1);
    assert_string_equal(s->p->keys->set.items[0].id, "cheap");
    assert_string_equal(s->p->document.data, cheap);
}

static void who_asks_does_not_wait_for_a_fetched_set(void **state)
{
    struct scene *s = scene_with("fetched", cheap);

    begin(s, take_costly);
    ask_until_done(s);
    assert_true(s->fresh);
    has_costly(s);
    assert_false(s->p->under_way);
    assert_false(take(s, costly)); /* the same again: it is not read */
    has_costly(s);
    scene_free(s);
}

static void who_asks_does_not_wait_for_a_reload(void **state)
{
    struct scene *s = scene_with("reload", costly);
    struct verifier *renewed = fetched_verifier(10);

    s->to_equip = renewed;
    begin(s, equip_costly);
    ask_until_done(s);
    has_costly(s);
    assert_ptr_equal(s->p->issuer, renewed->items[0].issuer);
    assert_ptr_equal(s->equipped->items[0].keys, s->p->keys);
    verifier_unref(renewed);
    scene_free(s);
}

static void who_asks_does_not_wait_for_what_was_kept(void **state)
{
    struct scene *s = scene_new("kept");
    struct shelved shelved = {.fetched_at_ms = clock_wall_ms()};
    struct fault fault = {0};

    text_append_str(&shelved.document, costly);
    assert_true(key_shelf_put(s->k->folder, s->bare->items[0].issuer, &shelved, &fault));
    text_done(&shelved.document);
    s->to_equip = s->bare;
    begin(s, equip_costly);
    ask_until_done(s);
    assert_int_equal(s->equipped->items[0].keys->set.count, COSTLY);
    scene_free(s);
}

/* What comes was asked for by the old rules. Who waits for it waits for the next. */
static void a_reload_while_keys_are_read(void **state)
{
    struct scene *s = scene_with("renewed", cheap);
    struct verifier *renewed = fetched_verifier(10);

    begin(s, take_costly);
    struct verifier *v = keyring_equip(s->k, renewed);
    assert_false(s->done);
    assert_ptr_equal(v->items[0].keys, s->p->keys);
    end(s);
    assert_false(s->fresh);
    has_cheap(s);
    assert_ptr_equal(s->p->issuer, renewed->items[0].issuer);
    assert_false(s->p->under_way || s->p->discard);
    assert_true(s->p->wanted);
    assert_true(s->p->due_ms <= clock_mono_ms());
    verifier_unref(v);
    verifier_unref(renewed);
    assert_true(take(s, costly)); /* the next counts */
    has_costly(s);
    scene_free(s);
}

static void an_issuer_is_dropped_while_its_keys_are_read(void **state)
{
    struct scene *s = scene_with("dropped", cheap);
    struct verifier *others = test_verifier_of(ec, ALG_ES256, "k1", test_options());
    struct arena arena = {0};
    struct keyring_status *rows;

    begin(s, take_costly);
    equip_now(s, others);
    assert_int_equal(keyring_list(s->k, &arena, &rows), 0);
    equip_now(s, s->bare); /* it is there again, as a new one */
    assert_int_equal(keyring_list(s->k, &arena, &rows), 1);
    assert_int_equal(rows[0].keys, 0);
    assert_false(s->done);
    end(s);
    assert_false(s->fresh);
    has_cheap(s);
    equip_now(s, s->bare); /* what was dropped is freed */
    assert_int_equal(keyring_list(s->k, &arena, &rows), 1);
    assert_null(s->k->providers->next);
    assert_null(s->k->providers->keys);
    arena_done(&arena);
    verifier_unref(others);
    scene_free(s);
}

static void keys_come_while_a_reload_reads_the_old_ones(void **state)
{
    struct scene *s = scene_with("overtaken", costly);
    struct verifier *renewed = fetched_verifier(10);

    s->to_equip = renewed;
    begin(s, equip_costly);
    assert_true(take(s, cheap));
    assert_false(s->done);
    end(s);
    has_cheap(s);
    assert_ptr_equal(s->p->issuer, renewed->items[0].issuer);
    assert_ptr_equal(s->equipped->items[0].keys, s->p->keys);
    verifier_unref(renewed);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_does_not_wait_for_a_fetched_set),
        cmocka_unit_test(who_asks_does_not_wait_for_a_reload),
        cmocka_unit_test(who_asks_does_not_wait_for_what_was_kept),
        cmocka_unit_test(a_reload_while_keys_are_read),
        cmocka_unit_test(an_issuer_is_dropped_while_its_keys_are_read),
        cmocka_unit_test(keys_come_while_a_reload_reads_the_old_ones),
    };

    return cmocka_run_group_tests_name("auth_keyring_busy", tests, make, unmake);
}
