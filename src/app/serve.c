/* bailiff serve: parse, set up, run, exit. */
#include "app/serve.h"

#include <signal.h>
#include <unistd.h>

#include "app/notify.h"
#include "app/probe.h"
#include "app/process.h"
#include "bailiff/clock.h"

enum { TICK_MS = 1000, WAIT_TICK_MS = 50, EXTEND_EVERY_MS = 10000 };

/* ---- parse ---- */
static bool read_configuration(struct serving *s)
{
    struct problems *problems = &s->problems;
    struct policy *policy = NULL;
    struct verifier *verifier = NULL;
    own(text_done) struct text summary = {0};

    s->config = config_load(config_path(call_value(s->call, "config")), CONFIG_MACHINE, problems);
    if (s->config) {
        bool policy_good = config_load_policy(s->config, problems, &policy);
        bool verifier_good = config_load_verifier(s->config, problems, &verifier);

        (void)(policy_good && verifier_good); /* what is wrong with them is among the problems */
    }
    if (problems->mistakes == 0) {
        s->snapshot = snapshot_new(policy, verifier);
        return true;
    }
    policy_unref(policy);
    if (verifier)
        verifier_unref(verifier);
    problems_print(problems, s->call->err);
    problems_summary(problems, &summary);
    call_fail(s->call, STATUS_CONFIG, "%s in %s; nothing was started.", summary.data, problems->file);
    return false;
}

/* ---- set up ---- What fails first leaves nothing behind, what changes the disk comes late, what clients see comes last. */
static bool start(struct serving *s, struct fault *fault)
{
    s->log = log_new(STDERR_FILENO, (enum log_format)s->config->log.format, (enum log_level)s->config->log.level);
    serve_log_problems(s, &s->problems);
    if (!probe_start(s->config, fault) || !serve_make_keyring(s, fault) || !serve_make_jobs(s, fault) ||
        !serve_load_application(s, fault) || !serve_apply_controls(s, fault) || !serve_make_store(s, fault) ||
        !serve_load_revocations(s, fault))
        return false;
    serve_put_in_force(s, snapshot_ref(s->snapshot));
    serve_fill_services(s);
    if (!serve_audit(s, "server.start", s->snapshot->policy, NULL, fault) ||
        !jobs_start(s->jobs, s->store, s->manifest, fault))
        return false;
    s->jobs_started = true;
    if (!keyring_start(s->keyring, fault))
        return false;
    return serve_make_server(s, fault);
}

/* With the audit log's end: in a log that is kept elsewhere it shows later that nothing before was changed or cut off. */
static void say(struct serving *s, const char *event, const char *message)
{
    char hash[2 * AUDIT_HASH_SIZE + 1];
    struct audit_walk head;

    store_audit_head(s->store, &head);
    hex_encode(head.hash, AUDIT_HASH_SIZE, hash);
    log_write(s->log, LOG_INFO, event, message, L_STR("version", BAILIFF_VERSION),
              L_STR("url", s->config->server.public_url), L_INT("audit_seq", head.seq), L_STR("audit_hash", hash));
}

/* ---- run ---- */
static void run(struct serving *s)
{
    for (;;) {
        switch (process_wait_signal(TICK_MS)) {
        case SIGHUP:
            serve_reload(s);
            break;
        case SIGTERM:
        case SIGINT:
            return;
        default:
            refusal_ledger_flush(s->services.refusals, s->store, false);
            serve_watch_lists(s);
        }
    }
}

/* Running jobs may end, until the deadline or a second signal. Requests are still answered meanwhile: who waits for a job sees its
 * end, and may cancel it; but /readyz sends new callers elsewhere. */
static void await_jobs(struct serving *s)
{
    const int64_t deadline_ms = clock_mono_ms() + s->config->shutdown.deadline_ms;
    struct jobs_health health;
    int64_t extended_ms = 0;

    jobs_hold(s->jobs);
    for (jobs_get_health(s->jobs, &health); health.active > 0 && clock_mono_ms() < deadline_ms;
         jobs_get_health(s->jobs, &health)) {
        if (clock_mono_ms() - extended_ms >= EXTEND_EVERY_MS) {
            extended_ms = clock_mono_ms();
            notify_extend(2 * EXTEND_EVERY_MS / 1000 + s->config->server.drain_timeout_ms / 1000);
            log_write(s->log, LOG_INFO, "server.waiting", "Running jobs may end; a second signal goes on at once.",
                      L_INT("jobs", health.active), L_INT("seconds_left", (deadline_ms - clock_mono_ms()) / 1000));
        }
        int signal_number = process_wait_signal(WAIT_TICK_MS);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            break;
        refusal_ledger_flush(s->services.refusals, s->store, false);
        serve_watch_lists(s);
    }
}

/* ---- exit ---- In reverse; also after half a start. */
static void stop(struct serving *s)
{
    if (s->server)
        server_stop(s->server);
    keyring_stop(s->keyring); /* after those who may wait for a key */
    if (s->jobs_started)
        jobs_stop(s->jobs);
    if (s->services.refusals && s->store)
        refusal_ledger_flush(s->services.refusals, s->store, true);
    if (s->server && s->store && !serve_audit(s, "server.stop", s->snapshot->policy, NULL, NULL))
        log_write(s->log, LOG_ERROR, "server.stop", "The end could not be recorded.");
    if (s->server && s->store)
        say(s, "server.stopped", "Everything is written.");
    keyring_free(s->keyring);
    store_close(s->store);
    server_free(s->server); /* after the writer, which tells its loops of changes that nobody waits for any more */
    event_hub_free(s->hub);
    revocations_free(s->revocations); /* after the writer, which adds to them */
    jobs_free(s->jobs);
    refusal_ledger_free(s->services.refusals);
    quota_ledger_free(s->services.quotas);
    inflight_keys_free(s->services.inflight);
    manifest_free(s->manifest);
    snapshot_unref(s->snapshot);
    log_free(s->log);
    config_free(s->config);
    problems_done(&s->problems);
    arena_done(&s->arena);
}

static int serve(struct call *call)
{
    struct serving s = {.call = call,
                        .swap_lock = PTHREAD_MUTEX_INITIALIZER,
                        .snapshot_lock = PTHREAD_MUTEX_INITIALIZER,
                        .revocation_lists_until_s = INT64_MAX};
    struct fault fault = {0};
    int status = STATUS_OK;

    if (!process_harden(&fault) || !process_block_signals(&fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    if (!read_configuration(&s)) {
        status = STATUS_CONFIG;
    } else if (!start(&s, &fault)) {
        status = call_fail_fault(call, STATUS_FAILED, &fault);
    } else {
        say(&s, "server.started", "Serving.");
        notify_ready("Serving.");
        run(&s);
        say(&s, "server.stopping", "Requests in flight may end; a second signal ends at once.");
        notify_stopping();
        if (s.config->shutdown.jobs == SHUTDOWN_WAIT)
            await_jobs(&s);
        process_unblock_ending();
    }
    stop(&s);
    return status;
}

static const struct command_option SERVE_OPTIONS[] = {
    CONFIG_OPTION,
};

const struct command COMMAND_SERVE = {
    .name = "serve",
    .summary = "serves the API",
    .about = "Stays in the foreground and logs to stderr. Signals:\n"
             "  SIGHUP           reloads roles, issuers, keys, certificates and revocation lists, all or nothing\n"
             "  SIGTERM, SIGINT  drains: requests in flight may end; a second one ends at once\n"
             "                   (with shutdown.jobs: wait, running jobs may end before that; a second one\n"
             "                   goes on at once, a third one ends at once)\n"
             "Exit status: 0 ended as asked, 1 could not start, 3 the configuration is wrong.\n",
    .options = SERVE_OPTIONS,
    .option_count = ARRAY_LEN(SERVE_OPTIONS),
    .run = serve,
};
