/* Refusals, counted and logged. A flood of them must not become a flood of lines: of each kind the first few a second are logged
 * by each loop, the rest is one line with their number. */
#include "bailiff/clock.h"
#include "server/internal.h"

enum { LINES_A_SECOND = 5 };

static const struct refusal_kind {
    const char *event, *what;
    enum log_level level;
    bool counts; /* against the client's address: it was its own doing, and cost us something */
} KINDS[SERVER_REFUSALS] = {
    [REFUSED_CONNECTIONS] = {"connection.refused", "too many connections", LOG_WARNING, false},
    [REFUSED_ADDRESS] = {"connection.refused", "too many connections of one address", LOG_WARNING, false},
    [REFUSED_BARRED] = {"connection.refused", "too many refusals of one address", LOG_WARNING, false},
    [REFUSED_PROXY] = {"connection.refused", "PROXY header", LOG_WARNING, true},
    [REFUSED_HANDSHAKE] = {"tls.handshake_failed", "TLS handshake", LOG_DEBUG, true},
    [REFUSED_PUSHED_OUT] = {"tls.handshake_failed", "pushed out by newer handshakes", LOG_DEBUG, false},
    [REFUSED_CERTIFICATE] = {"tls.client_refused", "client certificate", LOG_INFO, true},
    [REFUSED_PARSER] = {"request.malformed", "malformed request", LOG_INFO, true},
    [REFUSED_FORWARDED] = {"request.malformed", "X-Forwarded-For", LOG_INFO, false},
    [REFUSED_SLOW_HEAD] = {"connection.closed", "slow head", LOG_INFO, true},
    [REFUSED_SLOW_BODY] = {"connection.closed", "slow body", LOG_INFO, true},
    [REFUSED_SLOW_READER] = {"connection.closed", "slow reader", LOG_INFO, true},
    [REFUSED_BODIES] = {"request.refused", "too many bodies of one address", LOG_WARNING, false},
    [REFUSED_MEMORY] = {"request.refused", "memory budget", LOG_WARNING, false},
    [REFUSED_STREAMS] = {"request.refused", "too many streams", LOG_WARNING, false},
    [REFUSED_RESETS] = {"connection.closed", "aborted HTTP/2 requests", LOG_WARNING, true},
};

static void log_unlogged(struct loop *loop, enum server_refusal refusal)
{
    struct refusal_log *l = &loop->refusal_logs[refusal];
    const struct refusal_kind *kind = &KINDS[refusal];
    const struct log_field fields[] = {L_STR("kind", kind->what), L_INT("more", l->unlogged)};

    if (l->unlogged > 0)
        loop_log(loop, kind->level, kind->event, "More of the same.", fields, ARRAY_LEN(fields));
    *l = (struct refusal_log){.second = clock_mono_ms() / 1000};
}

/* What others keep of it: the audit log, and the share of the address. */
static void tell(struct loop *loop, enum server_refusal refusal, const struct client *client, const char *reason,
                 const char *request_id, int status)
{
    const struct server_options *options = &loop->server->options;

    if (options->refused && (request_id || refusal == REFUSED_BARRED))
        options->refused(options->services,
                         &(struct server_refused){client->address, reason, status, request_id, NULL});
    if (options->count_refusal && client && client->own && KINDS[refusal].counts)
        options->count_refusal(options->services, client->address);
}

/* Counts it. True: it may have a line of its own. */
static bool has_line(struct loop *loop, enum server_refusal refusal)
{
    struct refusal_log *l = &loop->refusal_logs[refusal];

    atomic_fetch_add_explicit(&loop->server->refusals[refusal], 1, memory_order_relaxed);
    if (l->second != clock_mono_ms() / 1000)
        log_unlogged(loop, refusal);
    if (l->lines++ < LINES_A_SECOND)
        return true;
    l->unlogged++;
    return false;
}

void record_refusal(struct loop *loop, enum server_refusal refusal, const struct client *client, const char *reason,
                    const char *request_id, int status)
{
    const struct refusal_kind *kind = &KINDS[refusal];

    if (loop->testing)
        return;
    tell(loop, refusal, client, reason, request_id, status);
    if (!has_line(loop, refusal))
        return;
    const struct log_field fields[] = {
        L_STR("request_id", request_id),
        status ? L_INT("status", status) : L_STR("status", NULL),
        L_STR("address", client ? client->address : NULL),
        L_STR("kind", kind->what),
        L_STR("reason", reason),
    };
    loop_log(loop, kind->level, kind->event, NULL, fields, ARRAY_LEN(fields));
}

/* Whose connection is ended behind the handshake had a good certificate until then: that is not held against its address. */
void record_client_refusal(struct connection *c, const char *reason, bool admitted)
{
    const struct server_options *options = &c->loop->server->options;
    const struct refusal_kind *kind = &KINDS[REFUSED_CERTIFICATE];
    const struct certificate *shown = c->certificate;
    char text[128];

    snprintf(text, sizeof(text), "client certificate: %s", reason);
    if (options->refused)
        options->refused(options->services, &(struct server_refused){c->client.address, text, 0, NULL, shown});
    if (options->count_refusal && c->client.own && !admitted)
        options->count_refusal(options->services, c->client.address);
    if (!has_line(c->loop, REFUSED_CERTIFICATE))
        return;
    const struct log_field fields[] = {
        L_STR("address", c->client.address),
        L_STR("kind", kind->what),
        L_STR("reason", reason),
        L_STR("shown", shown ? shown->fingerprint : NULL),
        L_STR("shown_subject", shown ? shown->subject : NULL),
        L_STR("shown_issuer", shown ? shown->issuer : NULL),
        L_STR("shown_serial", shown ? shown->serial : NULL),
    };
    loop_log(c->loop, kind->level, kind->event, NULL, fields, ARRAY_LEN(fields));
}

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct loop *loop = container_of(entry, struct loop, refusal_tick);
    int64_t second = clock_mono_ms() / 1000;

    for (int i = 0; i < SERVER_REFUSALS; i++)
        if (loop->refusal_logs[i].unlogged > 0 && loop->refusal_logs[i].second != second)
            log_unlogged(loop, i);
    h2o_timeout_link(loop->context.loop, &loop->context.one_sec_timeout, &loop->refusal_tick);
}

void record_begin(struct loop *loop)
{
    loop->refusal_tick.cb = on_tick;
    on_tick(&loop->refusal_tick);
}

void record_end(struct loop *loop)
{
    if (h2o_timeout_is_linked(&loop->refusal_tick))
        h2o_timeout_unlink(&loop->refusal_tick);
    for (int i = 0; i < SERVER_REFUSALS; i++)
        if (loop->refusal_logs[i].unlogged > 0)
            log_unlogged(loop, i);
}
