/* SIGHUP: roles, issuers, keys and certificates anew. */
#include "app/notify.h"
#include "app/serve.h"

void serve_log_problems(struct serving *s, const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->items[i];
        own(freep) char *place = p->line > 0 ? xprintf("%s:%u", problems->file, p->line) : xstrdup(problems->file);

        log_write(s->log, p->warning ? LOG_WARNING : LOG_ERROR, "server.configuration", p->text,
                  L_STR("at", p->placed ? NULL : place));
    }
}

/* What only a restart changes is not silently left as it was. */
static void warn_of_the_rest(struct serving *s, const struct config *fresh)
{
    own(text_done) struct text old_text = {0}, new_text = {0};

    config_print_fixed(s->config, &old_text);
    config_print_fixed(fresh, &new_text);
    if (!span_eq(text_span(&old_text), text_span(&new_text)))
        log_write(s->log, LOG_WARNING, "server.restart_needed",
                  "Only policy, issuers and the contents of certificates were reloaded; other settings have changed "
                  "too and need a "
                  "restart.",
                  L_STR("file", fresh->file));
}

static bool load_snapshot(const struct config *fresh, struct problems *problems, struct snapshot **ret)
{
    struct policy *policy = NULL;
    struct verifier *verifier = NULL;
    bool good = config_load_policy(fresh, problems, &policy);

    good = config_load_verifier(fresh, problems, &verifier) && good && problems->mistakes == 0;
    if (good) {
        *ret = snapshot_new(policy, verifier);
        return true;
    }
    policy_unref(policy);
    if (verifier)
        verifier_unref(verifier);
    return false;
}

/* Nobody decides by the new roles, keys, CAs and revocation lists before their coming is on record, and behind the record nothing can
 * fail. */
static bool reload(struct serving *s, struct problems *problems, struct fault *fault)
{
    own(config_freep) struct config *fresh = config_load(s->config->file, CONFIG_MACHINE, problems);
    struct snapshot *snapshot = NULL;
    struct tls_set *tls = NULL;

    if (!fresh || !load_snapshot(fresh, problems, &snapshot))
        return fault_set(fault, FAULT_INVALID, "The configuration has %zu mistake%s.", problems->mistakes,
                         problems->mistakes == 1 ? "" : "s");
    if (!server_load_tls(s->server, &tls, fault) || !serve_audit(s, "server.reload", snapshot->policy, NULL, fault)) {
        tls_set_free(tls);
        snapshot_unref(snapshot);
        return false;
    }
    server_use_tls(s->server, tls);
    serve_put_in_force(s, snapshot);
    serve_look_at_lists(s);
    warn_of_the_rest(s, fresh);
    return true;
}

void serve_reload(struct serving *s)
{
    struct problems problems = {0};
    struct snapshot *in_force;
    struct fault fault = {0};

    notify_reloading();
    bool reloaded = reload(s, &problems, &fault);
    in_force = services_pin(&s->services); /* the keyring may replace it at any time */
    if (reloaded) {
        serve_log_problems(s, &problems);
        log_write(s->log, LOG_INFO, "server.reloaded",
                  "Policy, issuers, keys, certificates and revocation lists were reloaded.",
                  L_STR("policy", policy_digest(in_force->policy)));
    } else {
        serve_log_problems(s, &problems);
        log_write(s->log, LOG_ERROR, "server.reload_failed", "Nothing was reloaded; what was in force stays so.",
                  L_STR("reason", fault.message), L_STR("detail", fault.detail[0] ? fault.detail : NULL));
        (void)!serve_audit(s, "server.reload", in_force->policy, fault.message, NULL);
    }
    snapshot_unref(in_force);
    problems_done(&problems);
    notify_ready("Serving.");
}
