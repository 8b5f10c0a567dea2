/* From configuration to running parts. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/bench.h"
#include "app/manifest_yaml.h"
#include "app/passed.h"
#include "app/routes.h"
#include "app/serve.h"
#include "bailiff/clock.h"
#include "bailiff/file.h"

static const char *storage_folder(struct serving *s)
{
    return arena_printf(&s->arena, "%s/storage", s->config->store.folder);
}

/* ---- execution ---- */
/* A runner of another user reads inputs below storage, which is its group's. On the way there it passes through this folder, whose files are
 * ours alone and whose list is nobody's. */
static bool make_data_folder(struct serving *s, struct fault *fault)
{
    const char *folder = s->config->store.folder;

    if (!folder_make(folder, 0700, fault))
        return false;
    if ((s->config->execution.user || s->config->execution.socket) && chmod(folder, 0711) < 0)
        return fault_set(fault, FAULT_INVALID, "The runner cannot be let into %s: %s.", folder, strerror(errno));
    return true;
}

/* A variable may be unset on purpose: an application that needs it says so itself. */
static void collect_environment(struct serving *s, struct id_list *ret_variables)
{
    struct id_list unset;

    passed_collect(&s->config->execution.environment, &s->arena, ret_variables, &unset);
    for (size_t i = 0; i < unset.count; i++)
        log_write(s->log, LOG_WARNING, "server.environment",
                  "A variable of execution.environment is not set in the server's environment.",
                  L_STR("name", unset.items[i]));
}

bool serve_make_jobs(struct serving *s, struct fault *fault)
{
    const struct config_execution *e = &s->config->execution;
    struct id_list environment;

    collect_environment(s, &environment);
    const struct jobs_options options = {
        .storage_folder = storage_folder(s),
        .socket_path = e->socket,
        .program = "/proc/self/exe", /* this very program, even if the file was replaced meanwhile */
        .work_folder = e->work_folder,
        .run_as_uid = (uid_t)e->uid,
        .run_as_gid = (gid_t)e->gid,
        .allow_same_user = e->same_user,
        .python = e->python,
        .package = e->package,
        .environment = environment.items,
        .environment_count = environment.count,
        .workers_max = e->workers,
        .log_max_bytes = e->log_max,
        .output_max_bytes = e->output_max,
        .grace_ms = e->grace_ms,
        .restart_lost = e->lost_jobs == 0,
        .attempts_max = e->attempts,
        .submitter_limit = e->limits.per_subject,
        .stop_fails = s->config->shutdown.jobs == SHUTDOWN_FAIL,
        .log = s->log,
    };

    return make_data_folder(s, fault) && jobs_new(&options, &s->jobs, fault);
}

static bool load_yaml(struct serving *s, struct fault *fault)
{
    struct problems problems;
    bool good = manifest_yaml_read(s->config->application, storage_folder(s), config_same_user(s->config), &problems,
                                   &s->manifest);

    problems_print(&problems, s->call->err);
    if (!good)
        fault_set(fault, FAULT_INVALID, "The application %s has %zu mistake%s; nothing was started.",
                  s->config->application, problems.mistakes, problems.mistakes == 1 ? "" : "s");
    problems_done(&problems);
    return good;
}

static bool load_toml(struct serving *s, struct fault *fault)
{
    own(text_done) struct text errors = {0};
    bool good = jobs_load(s->jobs, s->config->application, &s->manifest, &errors, fault);
    struct span rest = text_span(&errors), line;

    while (!good && rest.len > 0 && span_cut(&rest, '\n', &line)) {
        own(freep) char *copy = xstrndup(line.data, line.len);

        if (line.len > 0) {
            print_harmless(s->call->err, copy);
            fputc('\n', s->call->err);
        }
    }
    return good;
}

bool serve_load_application(struct serving *s, struct fault *fault)
{
    return manifest_yaml_named(s->config->application) ? load_yaml(s, fault) : load_toml(s, fault);
}

/* ---- the store ---- */
/* Writer thread. */
static void tell_of_jobs(void *arg, const struct job_event *events, size_t count)
{
    const struct serving *s = arg;

    event_hub_tell(s->hub, events, count);
    jobs_on_events(s->jobs, events, count);
}

bool serve_make_store(struct serving *s, struct fault *fault)
{
    s->hub = event_hub_new();
    const struct store_options options = {
        .folder = s->config->store.folder,
        .queue_max = s->config->store.queue,
        .idempotency_ttl_s = (unsigned)(s->config->store.idempotency_ttl_ms / 1000),
        .unfinished_jobs_max = s->config->limits.subject.unfinished_jobs,
        .events_max = s->config->events.max,
        .events_ttl_s = (unsigned)(s->config->events.keep_ms / 1000),
        .log = s->log,
        .on_jobs = tell_of_jobs,
        .on_jobs_arg = s,
    };

    return store_open(&options, &s->store, fault);
}

static void load_one(void *arg, const struct revocation *row)
{
    revocations_add(arg, row);
}

bool serve_load_revocations(struct serving *s, struct fault *fault)
{
    s->revocations = revocations_new();
    return store_each_revocation(s->config->store.folder, load_one, s->revocations, fault);
}

static bool fail_with_reason(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return fault_set(fault, FAULT_INVALID, "%s", (const char *)change->input);
}

static char *audit_detail(const struct serving *s, const struct policy *policy)
{
    struct text detail = {0};

    jw_open(&detail, '{');
    jw_member_string(&detail, "version", BAILIFF_VERSION);
    jw_member_string(&detail, "application_version", s->manifest->version);
    jw_member_string(&detail, "policy", policy_digest(policy));
    jw_close(&detail, '}');
    return text_take(&detail);
}

bool serve_audit(struct serving *s, const char *action, const struct policy *policy, const char *reason,
                 struct fault *fault)
{
    struct change *change = change_new();
    own(freep) char *detail = audit_detail(s, policy);
    struct fault expected = {0};
    bool written;

    change->class = CHANGE_JOB;
    change->audited = true;
    change->audit = (struct audit_draft){
        .action = arena_strdup(&change->arena, action),
        .target = "server",
        .subject = "bailiff",
        .reason = arena_strdup(&change->arena, reason),
        .detail = arena_strdup(&change->arena, detail),
    };
    if (reason) {
        change->apply = fail_with_reason;
        change->input = arena_strdup(&change->arena, reason);
    }
    written = store_submit_wait(s->store, change, &expected);
    change_free(change);
    if (written || reason) /* a failure is recorded as one, and reported as one */
        return true;
    fault_set(fault, expected.kind, "%s", expected.message);
    return fault_detail(fault, "%s", expected.detail);
}

/* ---- what handlers and middleware need ---- */
static void fill_limits(const struct config *c, struct rate_limits *limits)
{
    const struct config_rate *a = &c->limits.address, *u = &c->limits.subject;

    *limits = (struct rate_limits){
        .address_requests_per_s = a->requests_per_second,
        .address_burst = a->burst ? a->burst : a->requests_per_second,
        .address_refusals_a_minute = a->refusals_per_minute,
        .address_refusals_burst = a->refusals_burst ? a->refusals_burst : a->refusals_per_minute,
        .subject_requests_per_s = u->requests_per_second,
        .subject_burst = u->burst ? u->burst : u->requests_per_second,
        .subject_concurrent = u->concurrent,
        .refusals_recorded_a_minute = c->audit.refusals_recorded_a_minute,
    };
}

void serve_fill_services(struct serving *s)
{
    const struct config *c = s->config;

    s->services = (struct services){
        .log = s->log,
        .store = s->store,
        .jobs = s->jobs,
        .hub = s->hub,
        .heartbeat_ms = c->events.heartbeat_ms,
        .manifest = s->manifest,
        .wire = (enum wire)c->api.wire,
        .public_url = c->server.public_url,
        .realm = "bailiff",
        .cors_origins = c->cors.origins.items,
        .cors_origin_count = c->cors.origins.count,
        .same_user = config_same_user(c),
        .client_certificates = config_takes_client_certificates(c),
        .revocation_lists_until_s = &s->revocation_lists_until_s,
        .submit_limits = {.timeout_ms = (int64_t)c->execution.maximum.timeout_ms,
                          .retry_delay_ms = (int64_t)c->execution.maximum.retry_delay_ms,
                          .retries = c->execution.maximum.retries},
        .revocations = s->revocations,
        .keyring = s->keyring,
        .snapshot_lock = &s->snapshot_lock,
        .snapshot = &s->snapshot,
    };
    fill_limits(c, &s->services.limits);
    s->services.refusals = refusal_ledger_new();
    s->services.quotas = quota_ledger_new(&s->services.limits);
    s->services.inflight = inflight_keys_new();
}

/* ---- the server ---- */
static void refused(const struct services *services, const struct server_refused *what)
{
    refusal_before_chain(services, what->address, what->reason, what->status, what->request_id, what->shown);
}

bool serve_make_server(struct serving *s, struct fault *fault)
{
    const struct config *c = s->config;
    struct listener_options *listeners = arena_alloc(&s->arena, c->server.listeners.count * sizeof(*listeners));

    for (size_t i = 0; i < c->server.listeners.count; i++)
        config_listener_options(c, i, &s->arena, &listeners[i]);
    const struct server_options options = {
        .listeners = listeners,
        .listener_count = c->server.listeners.count,
        .loops = c->server.loops,
        .connections_max = c->limits.connections,
        .connections_per_address_max = c->limits.connections_per_address,
        .handshakes_max = c->limits.handshakes,
        .handshake_timeout_ms = c->limits.handshake_timeout_ms,
        .idle_timeout_ms = c->limits.idle_timeout_ms,
        .head_timeout_ms = c->limits.head_timeout_ms,
        .body_timeout_ms = c->limits.body_timeout_ms,
        .write_timeout_ms = c->limits.write_timeout_ms,
        .memory_budget = c->limits.memory_budget,
        .bodies_per_address_max = c->limits.address.bodies,
        .streams_max = c->limits.streams,
        .streams_per_subject_max = c->limits.subject.streams,
        .http2_resets_max = c->limits.http2_resets,
        .trusted_proxies = (const char *const *)c->server.trusted_proxies.items,
        .trusted_proxy_count = c->server.trusted_proxies.count,
        .drain_timeout_ms = c->server.drain_timeout_ms,
        .head_max = c->limits.head,
        .body_max = MIN(routes_body_max(), (size_t)c->limits.body),
        .chain = &BAILIFF_CHAIN,
        .services = &s->services,
        .bench_new = bench_new,
        .bench_free = bench_free,
        .refused = refused,
        .count_refusal = refusal_count,
        .is_barred = address_is_barred,
        .bench_turn_end = bench_turn_end,
        .log = s->log,
        .access_log = c->log.access,
    };

    if (!server_start(&options, &s->server, fault))
        return false;
    serve_look_at_lists(s);
    return true;
}

void serve_look_at_lists(struct serving *s)
{
    atomic_store(&s->revocation_lists_until_s, server_revocation_lists_until(s->server));
    s->lists_expired = false;
}

void serve_watch_lists(struct serving *s)
{
    if (s->lists_expired || clock_wall_ms() / 1000 < atomic_load(&s->revocation_lists_until_s))
        return;
    s->lists_expired = true;
    log_write(s->log, LOG_ERROR, "tls.crl",
              "A revocation list of client_crl has expired: clients with certificates of its CA are refused. Fetch the "
              "current one, and reload.");
}
