/* The server as its caller sees it: start, reload, stop, count. */
#include <sched.h>
#include <sys/resource.h>

#include "server/internal.h"

enum { LOOPS_MAX = 256, DESCRIPTORS_BESIDE = 256 /* database, logs, pipes … */, TICKET_PERIOD_MS = 3600 * 1000 };

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static const char *const *copy_all(const char *const *items, size_t count)
{
    const char **copies = xcalloc(count + 1, sizeof(*copies));

    for (size_t i = 0; i < count; i++)
        copies[i] = xstrdup(items[i]);
    return copies;
}

static struct listener_options listener_options_copy(const struct listener_options *o)
{
    return (struct listener_options){
        .address = copy(o->address),
        .port = o->port,
        .tls = o->tls,
        .certificate_file = copy(o->certificate_file),
        .key_file = copy(o->key_file),
        .client_ca_file = copy(o->client_ca_file),
        .client_certificate_optional = o->client_certificate_optional,
        .client_crl_files = copy_all(o->client_crl_files, o->client_crl_count),
        .client_crl_count = o->client_crl_count,
        .ocsp_file = copy(o->ocsp_file),
        .proxy_protocol = o->proxy_protocol,
        .where = copy(o->where),
    };
}

static unsigned cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* Each connection is a descriptor. Too few is not fatal (accepting pauses), but somebody should know before the night. */
static void provide_descriptors(const struct server *server)
{
    struct rlimit limit;
    rlim_t wanted = server->options.connections_max + (rlim_t)DESCRIPTORS_BESIDE;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = MIN(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
        log_write(server->options.log, LOG_WARNING, "server.descriptors",
                  "The limit of open files is below limits.connections; raise LimitNOFILE.",
                  L_INT("limit", limit.rlim_cur), L_INT("wanted", wanted));
}

static struct server *server_new(const struct server_options *options)
{
    struct server *server = xcalloc(1, sizeof(*server));

    server->options = *options;
    server->options.listeners = NULL;
    server->listener_count = options->listener_count;
    server->listeners = xcalloc(options->listener_count, sizeof(*server->listeners));
    for (size_t i = 0; i < options->listener_count; i++)
        server->listeners[i].options = listener_options_copy(&options->listeners[i]);
    server->loop_count = options->loops ? MIN(options->loops, (unsigned)LOOPS_MAX) : cores();
    server->loops = xcalloc(server->loop_count, sizeof(*server->loops));
    server->tickets = ticket_keys_new(options->ticket_period_ms ? options->ticket_period_ms : TICKET_PERIOD_MS);
    server->addresses = tally_new(options->connections_per_address_max);
    server->subjects = tally_new(options->streams_per_subject_max);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_init(&server->loops[i], server, i);
    return server;
}

static bool open_listeners(struct server *server, struct fault *fault)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *l = &server->listeners[i];
        if (l->options.tls && !tls_new(&l->options, server->tickets, server->options.log, &l->tls, fault))
            return false;
        if (!listener_open(l, server->loop_count, fault))
            return false;
    }
    return true;
}

static void set_state(struct server *server, int state)
{
    pthread_mutex_lock(&server->lock);
    server->state = state;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static bool start_loops(struct server *server, struct fault *fault)
{
    for (unsigned i = 0; i < server->loop_count; i++)
        if (!loop_start(&server->loops[i], fault))
            return false;
    pthread_mutex_lock(&server->lock);
    while (server->loops_ready + server->loops_failed < server->loop_count)
        pthread_cond_wait(&server->changed, &server->lock);
    bool ok = server->loops_failed == 0;
    if (!ok && fault)
        *fault = server->start_fault;
    pthread_mutex_unlock(&server->lock);
    return ok;
}

static void join_loops(struct server *server)
{
    for (unsigned i = 0; i < server->loop_count; i++) {
        if (server->loops[i].started)
            pthread_join(server->loops[i].thread, NULL);
        server->loops[i].started = false;
    }
}

/* What cannot work together is refused before anybody connects. */
static bool check_options(struct server *server, struct fault *fault)
{
    const struct server_options *o = &server->options;
    uint64_t needed = server_memory_needed(o->connections_max, o->body_max);

    if (o->memory_budget < needed)
        return fault_set(fault, FAULT_INVALID,
                         "limits.memory_budget is too small: %u connections may need %llu MiB. Raise it, or lower "
                         "limits.connections.",
                         o->connections_max, (unsigned long long)((needed + MIB(1) - 1) / MIB(1)));
    if (o->bodies_per_address_max > 0 && o->bodies_per_address_max < server_bodies_per_address_least(o->body_max))
        return fault_set(
            fault, FAULT_INVALID,
            "limits.address.bodies is too small: one body of the largest size takes %llu KiB. Raise it, or "
            "lower limits.body.",
            (unsigned long long)(server_bodies_per_address_least(o->body_max) / KIB(1)));
    server->bodies_max = o->memory_budget - server_memory_needed(o->connections_max, 0);
    server->bodies = tally_new(budget_share_of_address(server));
    return trusted_proxies_read(o->trusted_proxies, o->trusted_proxy_count, &server->trusted, fault);
}

bool server_trusted_proxy_check(const char *entry, struct fault *fault)
{
    struct trusted_proxies trusted;

    if (!trusted_proxies_read(&entry, 1, &trusted, fault))
        return false;
    trusted_proxies_done(&trusted);
    return true;
}

bool server_start(const struct server_options *options, struct server **ret_server, struct fault *fault)
{
    struct server *server = server_new(options);

    provide_descriptors(server);
    if (!check_options(server, fault) || !open_listeners(server, fault) || !start_loops(server, fault)) {
        server_free(server);
        return false;
    }
    set_state(server, SERVER_RUNNING);
    for (size_t i = 0; i < server->listener_count; i++)
        log_write(options->log, LOG_INFO, "server.listening", server->listeners[i].options.tls ? "TLS" : "plain HTTP",
                  L_STR("address", server->listeners[i].name), L_INT("loops", server->loop_count));
    *ret_server = server;
    return true;
}

unsigned server_port(const struct server *server, size_t listener)
{
    return server->listeners[listener].port;
}

struct tls_set {
    size_t count;
    struct tls *items[]; /* one a listener; NULL: plain */
};

void tls_set_free(struct tls_set *set)
{
    for (size_t i = 0; set && i < set->count; i++)
        tls_unref(set->items[i]);
    free(set);
}

static void tls_set_freep(struct tls_set **set)
{
    tls_set_free(*set);
}

bool server_load_tls(struct server *server, struct tls_set **ret_set, struct fault *fault)
{
    own(tls_set_freep) struct tls_set *set = xcalloc(1, sizeof(*set) + server->listener_count * sizeof(set->items[0]));

    for (; set->count < server->listener_count; set->count++) {
        const struct listener_options *options = &server->listeners[set->count].options;
        if (options->tls && !tls_new(options, server->tickets, server->options.log, &set->items[set->count], fault))
            return false;
    }
    *ret_set = give(set);
    return true;
}

void server_use_tls(struct server *server, struct tls_set *set)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < set->count; i++) {
        struct tls *old = server->listeners[i].tls;
        server->listeners[i].tls = set->items[i];
        set->items[i] = old; /* and goes with the set */
    }
    atomic_fetch_add_explicit(&server->trust, 1, memory_order_release);
    pthread_mutex_unlock(&server->lock);
    tls_set_free(set);
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_ask_check_clients(&server->loops[i]);
}

bool server_reload_tls(struct server *server, struct fault *fault)
{
    struct tls_set *set = NULL;

    if (!server_load_tls(server, &set, fault))
        return false;
    server_use_tls(server, set);
    return true;
}

int64_t server_revocation_lists_until(struct server *server)
{
    int64_t until_s = INT64_MAX;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->listener_count; i++)
        if (server->listeners[i].tls)
            until_s = MIN(until_s, server->listeners[i].tls->lists_until_s);
    pthread_mutex_unlock(&server->lock);
    return until_s;
}

bool server_tls_check(const struct listener_options *options, struct fault *fault)
{
    struct ticket_keys *tickets = ticket_keys_new(TICKET_PERIOD_MS);
    struct tls *tls = NULL;
    bool ok = tls_new(options, tickets, NULL, &tls, fault);

    tls_unref(tls);
    ticket_keys_free(tickets);
    return ok;
}

void server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_ask_stop(&server->loops[i]);
    join_loops(server);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    pthread_mutex_lock(&server->lock);
    bool running = server->state == SERVER_RUNNING;
    pthread_mutex_unlock(&server->lock);
    if (running)
        server_stop(server);
    set_state(server, SERVER_STOPPED); /* for loops that never served */
    join_loops(server);
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_done(&server->loops[i]);
    for (size_t i = 0; i < server->listener_count; i++)
        listener_close(&server->listeners[i], server->loop_count);
    ticket_keys_free(server->tickets);
    tally_free(server->addresses);
    tally_free(server->subjects);
    tally_free(server->bodies);
    trusted_proxies_done(&server->trusted);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server->loops);
    free(server->listeners);
    free(server);
}

void server_get_counters(const struct server *server, struct server_counters *ret)
{
    /* Each is true for itself; together they are of about the same moment. */
    *ret = (struct server_counters){
        .connections = atomic_load_explicit(&server->connections, memory_order_relaxed),
        .connections_open = atomic_load_explicit(&server->connections_open, memory_order_relaxed),
        .requests = atomic_load_explicit(&server->requests, memory_order_relaxed),
        .body_bytes = atomic_load_explicit(&server->body_bytes, memory_order_relaxed),
        .streams_open = atomic_load_explicit(&server->streams_open, memory_order_relaxed),
    };
    for (size_t i = 0; i < SERVER_REFUSALS; i++)
        ret->refusals[i] = atomic_load_explicit(&server->refusals[i], memory_order_relaxed);
}
