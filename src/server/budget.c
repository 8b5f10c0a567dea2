/* What is held for strangers, and how much of it there may be: bytes of buffered bodies, and answers in the making. */
#include "server/internal.h"

enum {
    /* What a connection can make us hold before anything of it was checked: TLS state (some 20 KiB), and what was read of it at
     * once. Measured: tests/e2e/hostile_test.py. */
    CONNECTION_COST = 80 << 10,
    BODIES_MIN = 16,
    SHARES_OF_BODIES = 8, /* so that a few hostile addresses leave room for the rest */
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

uint64_t server_bodies_per_address_least(size_t body_max)
{
    return cost_of(body_max);
}

uint64_t budget_share_of_address(const struct server *server)
{
    const struct server_options *o = &server->options;

    return o->bodies_per_address_max > 0 ? o->bodies_per_address_max : server->bodies_max / SHARES_OF_BODIES;
}

/* One client may not use it all up: of what it has not sent yet, nobody knows whose it is. */
static bool take_from_share(struct server *server, const struct client *client, uint64_t cost, struct body_room *room)
{
    if (!client->own)
        return true;
    room->prefix = ip_prefix(&client->ip);
    room->of_address = tally_take(server->bodies, room->prefix.bytes, cost);
    return room->of_address;
}

const struct objection *budget_take_body(struct server *server, const struct client *client, uint64_t bytes,
                                         struct body_room *room)
{
    static const struct objection share = {429, REFUSED_BODIES, "Too many bodies of this address are on their way."},
                                  all = {503, REFUSED_MEMORY, "The server has no room for a body at this moment."};
    uint64_t cost = cost_of(bytes);

    *room = (struct body_room){.bytes = bytes};
    if (!take_from_share(server, client, cost, room)) {
        *room = (struct body_room){0};
        return &share;
    }
    uint64_t before = atomic_fetch_add_explicit(&server->body_bytes, cost, memory_order_relaxed);
    if (before + cost <= server->bodies_max)
        return NULL;
    budget_give_back_body(server, room);
    return &all;
}

void budget_give_back_body(struct server *server, struct body_room *room)
{
    budget_shrink_body(server, room, 0);
    *room = (struct body_room){0};
}

void budget_shrink_body(struct server *server, struct body_room *room, uint64_t needed)
{
    uint64_t rest = cost_of(room->bytes - MIN(room->bytes, needed));

    if (rest == 0)
        return;
    room->bytes = needed;
    atomic_fetch_sub_explicit(&server->body_bytes, rest, memory_order_relaxed);
    if (room->of_address)
        tally_give_back(server->bodies, room->prefix.bytes, rest);
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
    e->streams_by_subject = tally_take(server->subjects, e->subject, 1);
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
        tally_give_back(server->subjects, e->subject, 1);
    e->streams = e->streams_by_subject = false;
}
