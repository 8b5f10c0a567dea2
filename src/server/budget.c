/* What is held for strangers, and how much of it there may be: bytes of buffered bodies, and answers in the making. */
#include "server/internal.h"

enum {
    /* What a connection can make us hold before anything of it was checked: TLS state (some 20 KiB), and what was read of it at
     * once. Measured: tests/e2e/hostile_test.py. */
    CONNECTION_COST = 80 << 10,
    BODIES_MIN = 16,
};

/* A body is read into a buffer that doubles. */
static uint64_t cost_of(uint64_t body)
{
    return 2 * body;
}

uint64_t server_memory_needed(unsigned connections_max, size_t body_max)
{
    return (uint64_t)connections_max * CONNECTION_COST + BODIES_MIN * cost_of(body_max);
}

bool budget_take_body(struct server *server, uint64_t bytes)
{
    uint64_t cost = cost_of(bytes);
    uint64_t before = atomic_fetch_add_explicit(&server->body_bytes, cost, memory_order_relaxed);

    if (before + cost <= server->bodies_max)
        return true;
    atomic_fetch_sub_explicit(&server->body_bytes, cost, memory_order_relaxed);
    return false;
}

void budget_give_back_body(struct server *server, uint64_t *bytes)
{
    if (*bytes > 0)
        atomic_fetch_sub_explicit(&server->body_bytes, cost_of(*bytes), memory_order_relaxed);
    *bytes = 0;
}

void budget_shrink_body(struct server *server, uint64_t *bytes, uint64_t needed)
{
    uint64_t rest = *bytes - MIN(*bytes, needed);

    *bytes -= rest;
    budget_give_back_body(server, &rest);
}

/* ---- streams ---- */

static void subject_key(const struct exchange *x, uint8_t key[static TALLY_KEY_SIZE])
{
    uint8_t digest[32];
    own(text_done) struct text name = {0};

    if (x->identity) {
        text_append_str(&name, x->identity->issuer);
        text_append_char(&name, '\n');
        text_append_str(&name, x->identity->subject);
    } else {
        text_append_str(&name, x->address);
    }
    digest_sha256(name.data, name.len, digest);
    memcpy(key, digest, TALLY_KEY_SIZE);
}

const char *budget_take_stream(struct server_exchange *e, bool *ret_of_subject)
{
    struct server *server = e->connection->loop->server;
    uint64_t open = atomic_fetch_add_explicit(&server->streams_open, 1, memory_order_relaxed);

    e->streams = true;
    *ret_of_subject = false;
    if (server->options.streams_max > 0 && open >= server->options.streams_max) {
        budget_give_back_stream(e);
        return "Too many answers are being sent at this moment.";
    }
    subject_key(&e->x, e->subject);
    e->streams_by_subject = tally_take(server->subjects, e->subject);
    if (e->streams_by_subject)
        return NULL;
    *ret_of_subject = true;
    budget_give_back_stream(e);
    return "Too many answers are being sent to this subject at this moment.";
}

void budget_give_back_stream(struct server_exchange *e)
{
    struct server *server = e->connection->loop->server;

    if (e->streams)
        atomic_fetch_sub_explicit(&server->streams_open, 1, memory_order_relaxed);
    if (e->streams_by_subject)
        tally_give_back(server->subjects, e->subject);
    e->streams = e->streams_by_subject = false;
}
