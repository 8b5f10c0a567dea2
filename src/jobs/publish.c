/* Data nodes with a path of the user's own: after the commit the new value is written there, too. The intent is in
 * the store, so that it is done however often everything crashes in between; the data node stays locked until then. */
#include "bailiff/clock.h"
#include "jobs/thread.h"

void publish_add(struct jobs *jobs, const char *data_node_id, const char *file, const char *path)
{
    struct publication *publication = xcalloc(1, sizeof *publication);

    publication->jobs = jobs;
    publication->data_node_id = xstrdup(data_node_id);
    publication->file = xstrdup(file);
    publication->path = xstrdup(path);
    struct publication **place = &jobs->publications;
    for (; *place; place = &(*place)->next)
        if (str_eq((*place)->path, path))
            publication->after = *place;
    *place = publication;
}

static void publication_free(struct publication *publication)
{
    struct publication **place = &publication->jobs->publications;

    while (*place != publication)
        place = &(*place)->next;
    *place = publication->next;
    for (struct publication *later = publication->next; later; later = later->next)
        if (later->after == publication)
            later->after = NULL;
    free(publication->data_node_id);
    free(publication->file);
    free(publication->path);
    free(publication);
}

bool publish_recover(struct jobs *jobs, struct fault *fault)
{
    own(arena_done) struct arena arena = {0};
    struct publish_intent *intents;
    size_t count;

    if (!store_publish_intents(jobs->reader, &arena, &intents, &count, fault))
        return false;
    for (size_t i = 0; i < count; i++)
        publish_add(jobs, intents[i].data_node_id, intents[i].file, intents[i].path);
    return true;
}

struct published_input {
    const char *data_node_id, *file;
};

/* Writer thread. */
static bool published_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct published_input *input = change->input;

    return txn_published(txn, input->data_node_id, input->file, fault);
}

static void try_again(struct publication *publication, const char *why)
{
    publication->number = 0;
    publication->committing = false;
    publication->retry_ms = jobs_backoff(&publication->failures, clock_mono_ms());
    log_write(publication->jobs->log, LOG_WARNING, "data_node.publish", why,
              L_STR("data_node", publication->data_node_id), L_STR("path", publication->path),
              L_INT("tries", publication->failures));
}

static void published_finished(struct jobs *jobs, void *subject, struct change *change)
{
    struct publication *publication = subject;

    if (change->ok || change->fault.kind == FAULT_CONFLICT || change->fault.kind == FAULT_NOT_FOUND)
        publication_free(publication);
    else
        try_again(publication, change->fault.message);
    change_free(change);
}

static void commit(struct publication *publication)
{
    struct change *change = change_new();
    struct published_input *input = arena_alloc(&change->arena, sizeof *input);

    input->data_node_id = arena_strdup(&change->arena, publication->data_node_id);
    input->file = arena_strdup(&change->arena, publication->file);
    change->input = input;
    change->apply = published_apply;
    publication->committing = true;
    transition_submit(publication->jobs, change, publication, published_finished);
}

void publish_answered(struct jobs *jobs, const struct answer *answer)
{
    own(text_done) struct text line = {0};

    for (struct publication *publication = jobs->publications; publication; publication = publication->next) {
        if (publication->number != answer->number || publication->committing)
            continue;
        if (answer->ok)
            commit(publication);
        else {
            message_one_line(&line, answer->error ? answer->error : "It cannot be published.");
            try_again(publication, line.data);
        }
        return;
    }
}

void publish_connection_lost(struct jobs *jobs)
{
    for (struct publication *publication = jobs->publications; publication; publication = publication->next)
        if (!publication->committing)
            publication->number = 0;
}

static void ask(struct publication *publication)
{
    struct jobs *jobs = publication->jobs;
    own(freep) char *source = jobs_storage_path(jobs, publication->file);
    own(text_done) struct text json = {0};

    publication->number = ++jobs->last_request;
    jw_open(&json, '{');
    jw_member_string(&json, "op", "publish");
    jw_member_int(&json, "request", publication->number);
    jw_member_string(&json, "source", source);
    jw_member_string(&json, "path", publication->path);
    jw_close(&json, '}');
    client_send(jobs, &json);
}

void publish_step(struct jobs *jobs, int64_t now_ms)
{
    unsigned asked = 0;

    if (jobs->client.state != CLIENT_READY || jobs->stopping)
        return;
    for (struct publication *publication = jobs->publications; publication; publication = publication->next)
        asked += publication->number != 0;
    for (struct publication *publication = jobs->publications; publication && asked < PUBLISH_AT_ONCE;
         publication = publication->next)
        if (publication->number == 0 && !publication->after && now_ms >= publication->retry_ms) {
            ask(publication);
            asked++;
        }
}

void publish_done(struct jobs *jobs)
{
    while (jobs->publications)
        publication_free(jobs->publications);
}
