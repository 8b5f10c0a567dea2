#include "jobs/queue.h"

enum { BUCKETS = 16384 };

struct waiting { /* a job */
    int64_t key; /* seq in a lane; when it is due, of those that are to begin later */
    int64_t seq;
    char *job_id;
    struct lane *lane; /* of those that are to begin later */
};
struct waiting_heap {
    struct waiting *items;
    size_t count, cap;
};

struct lane_heap {
    struct lane **items;
    size_t count, cap;
};

/* A limit on how many of one task configuration, or of one submitter, run at once. */
struct gate {
    struct gate *next; /* in its bucket */
    uint64_t hash;
    char *name;
    unsigned limit, running;
    size_t lanes;            /* that it is a limit of */
    struct lane_heap parked; /* lanes that it holds back */
};

struct lane {
    struct lane *next;
    struct gate *gates[2]; /* of the configuration, of the submitter; NULL: no limit */
    struct waiting_heap jobs;
    size_t held;            /* places that are taken, and jobs that come later */
    struct lane_heap *heap; /* NULL: it has no job */
    size_t at;              /* its index there */
};

struct queue {
    unsigned submitter_limit;
    struct gate *gates[BUCKETS];
    struct lane *lanes[BUCKETS];
    struct lane_heap ready;
    struct waiting_heap later;
};

/* ---- heaps: the least comes first ---- */

static void waiting_swap(struct waiting *a, struct waiting *b)
{
    struct waiting kept = *a;

    *a = *b;
    *b = kept;
}

static void waiting_push(struct waiting_heap *heap, struct waiting job)
{
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? 2 * heap->cap : 8;
        heap->items = xrealloc(heap->items, heap->cap * sizeof *heap->items);
    }
    size_t at = heap->count++;
    heap->items[at] = job;
    for (; at > 0 && heap->items[at].key < heap->items[(at - 1) / 2].key; at = (at - 1) / 2)
        waiting_swap(&heap->items[at], &heap->items[(at - 1) / 2]);
}

static struct waiting waiting_pop(struct waiting_heap *heap)
{
    struct waiting least = heap->items[0];

    heap->items[0] = heap->items[--heap->count];
    for (size_t at = 0, child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->items[child + 1].key < heap->items[child].key)
            child++;
        if (heap->items[at].key <= heap->items[child].key)
            break;
        waiting_swap(&heap->items[at], &heap->items[child]);
    }
    if (heap->count == 0) { /* what a crowd took is given back when it has gone */
        free(heap->items);
        *heap = (struct waiting_heap){0};
    }
    return least;
}

static void waiting_done(struct waiting_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        free(heap->items[i].job_id);
    free(heap->items);
}

static int64_t age(const struct lane *lane)
{
    return lane->jobs.items[0].key;
}

static void lane_put(struct lane_heap *heap, size_t at, struct lane *lane)
{
    heap->items[at] = lane;
    lane->heap = heap;
    lane->at = at;
}

/* Brings the lane to its place after its first job changed. */
static void lane_settle(struct lane *lane)
{
    struct lane_heap *heap = lane->heap;
    size_t at = lane->at, child;

    for (; at > 0 && age(lane) < age(heap->items[(at - 1) / 2]); at = (at - 1) / 2)
        lane_put(heap, at, heap->items[(at - 1) / 2]);
    for (; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && age(heap->items[child + 1]) < age(heap->items[child]))
            child++;
        if (age(lane) <= age(heap->items[child]))
            break;
        lane_put(heap, at, heap->items[child]);
    }
    lane_put(heap, at, lane);
}

static void lane_enter(struct lane_heap *heap, struct lane *lane)
{
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? 2 * heap->cap : 8;
        heap->items = xrealloc(heap->items, heap->cap * sizeof *heap->items);
    }
    lane_put(heap, heap->count++, lane);
    lane_settle(lane);
}

static void lane_exit(struct lane *lane)
{
    struct lane_heap *heap = lane->heap;
    struct lane *last = heap->items[--heap->count];

    lane->heap = NULL;
    if (last == lane)
        return;
    lane_put(heap, lane->at, last);
    lane_settle(last);
}

/* ---- gates and lanes ---- */

static struct gate *gate_find(struct queue *queue, const char *name, unsigned limit)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, name, strlen(name));
    struct gate **bucket = &queue->gates[hash % BUCKETS];

    for (struct gate *gate = *bucket; gate; gate = gate->next)
        if (gate->hash == hash && strcmp(gate->name, name) == 0)
            return gate;
    struct gate *gate = xcalloc(1, sizeof *gate);
    *gate = (struct gate){.next = *bucket, .hash = hash, .name = xstrdup(name), .limit = limit};
    *bucket = gate;
    return gate;
}

static void gate_release(struct queue *queue, struct gate *gate)
{
    if (!gate || --gate->lanes > 0)
        return;
    struct gate **place = &queue->gates[gate->hash % BUCKETS];
    while (*place != gate)
        place = &(*place)->next;
    *place = gate->next;
    free(gate->parked.items);
    free(gate->name);
    free(gate);
}

/* The same letters can be no configuration's id, which is an identifier. */
static struct gate *gate_of_submitter(struct queue *queue, const uint8_t *submitter)
{
    static const uint8_t nobody[SUBMITTER_SIZE];
    char name[2 * SUBMITTER_SIZE + 2] = "#";

    if (queue->submitter_limit == 0 || memcmp(submitter, nobody, SUBMITTER_SIZE) == 0)
        return NULL;
    hex_encode(submitter, SUBMITTER_SIZE, name + 1);
    return gate_find(queue, name, queue->submitter_limit);
}

static size_t lane_bucket(struct gate *const gates[2])
{
    return hash_bytes(HASH_BEGIN, gates, 2 * sizeof *gates) % BUCKETS;
}

static struct lane *lane_find(struct queue *queue, const struct queue_entry *entry)
{
    struct gate *gates[2] = {entry->config_limit > 0 ? gate_find(queue, entry->config_id, entry->config_limit) : NULL,
                             gate_of_submitter(queue, entry->submitter)};
    struct lane **bucket = &queue->lanes[lane_bucket(gates)];

    for (struct lane *lane = *bucket; lane; lane = lane->next)
        if (lane->gates[0] == gates[0] && lane->gates[1] == gates[1])
            return lane;
    struct lane *lane = xcalloc(1, sizeof *lane);
    *lane = (struct lane){.next = *bucket, .gates = {gates[0], gates[1]}};
    *bucket = lane;
    for (size_t i = 0; i < 2; i++)
        if (gates[i])
            gates[i]->lanes++;
    return lane;
}

static void lane_release(struct queue *queue, struct lane *lane)
{
    if (lane->held > 0 || lane->jobs.count > 0)
        return;
    struct lane **place = &queue->lanes[lane_bucket(lane->gates)];
    while (*place != lane)
        place = &(*place)->next;
    *place = lane->next;
    gate_release(queue, lane->gates[0]);
    gate_release(queue, lane->gates[1]);
    free(lane->jobs.items);
    free(lane);
}

static struct gate *full_gate(const struct lane *lane)
{
    for (size_t i = 0; i < 2; i++)
        if (lane->gates[i] && lane->gates[i]->running >= lane->gates[i]->limit)
            return lane->gates[i];
    return NULL;
}

/* What holds always: of a gate with a free place that holds lanes back, at least one lane is ready. So whenever a lane stops being
 * ready, those that it leaves a place to get one of theirs. */
static void wake_others(struct queue *queue, const struct lane *lane)
{
    for (size_t i = 0; i < 2; i++) {
        struct gate *gate = lane->gates[i];
        if (!gate || gate->running >= gate->limit || gate->parked.count == 0)
            continue;
        struct lane *oldest = gate->parked.items[0];
        lane_exit(oldest);
        lane_enter(&queue->ready, oldest);
    }
}

/* ---- the queue ---- */

struct queue *queue_new(unsigned submitter_limit)
{
    struct queue *queue = xcalloc(1, sizeof *queue);

    queue->submitter_limit = submitter_limit;
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    waiting_done(&queue->later);
    free(queue->ready.items);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct lane *lane = queue->lanes[i], *next; lane; lane = next) {
            next = lane->next;
            waiting_done(&lane->jobs);
            free(lane);
        }
        for (struct gate *gate = queue->gates[i], *next; gate; gate = next) {
            next = gate->next;
            free(gate->parked.items);
            free(gate->name);
            free(gate);
        }
    }
    free(queue);
}

static void lane_add(struct queue *queue, struct lane *lane, int64_t seq, char *job_id)
{
    waiting_push(&lane->jobs, (struct waiting){.key = seq, .seq = seq, .job_id = job_id});
    if (!lane->heap) {
        lane_enter(&queue->ready, lane);
        return;
    }
    lane_settle(lane);
    if (lane->heap != &queue->ready && !full_gate(lane)) { /* it may be the oldest of its gate now */
        lane_exit(lane);
        lane_enter(&queue->ready, lane);
    }
}

void queue_add(struct queue *queue, const struct queue_entry *entry)
{
    lane_add(queue, lane_find(queue, entry), entry->seq, xstrdup(entry->job_id));
}

void queue_add_later(struct queue *queue, const struct queue_entry *entry, int64_t due_mono_ms)
{
    struct lane *lane = lane_find(queue, entry);

    lane->held++;
    waiting_push(&queue->later, (struct waiting){due_mono_ms, entry->seq, xstrdup(entry->job_id), lane});
}

bool queue_take(struct queue *queue, struct queue_place *ret_place)
{
    while (queue->ready.count > 0) {
        struct lane *lane = queue->ready.items[0];
        struct gate *full = full_gate(lane);

        if (full) {
            lane_exit(lane);
            lane_enter(&full->parked, lane);
            wake_others(queue, lane);
            continue;
        }
        struct waiting job = waiting_pop(&lane->jobs);
        lane->held++;
        for (size_t i = 0; i < 2; i++)
            if (lane->gates[i])
                lane->gates[i]->running++;
        if (lane->jobs.count > 0)
            lane_settle(lane);
        else {
            lane_exit(lane);
            wake_others(queue, lane);
        }
        *ret_place = (struct queue_place){job.seq, job.job_id, lane};
        return true;
    }
    return false;
}

void queue_leave(struct queue *queue, struct lane *lane)
{
    if (!lane)
        return;
    for (size_t i = 0; i < 2; i++)
        if (lane->gates[i])
            lane->gates[i]->running--;
    wake_others(queue, lane);
    lane->held--;
    lane_release(queue, lane);
}

void queue_return(struct queue *queue, const struct queue_place *place, int64_t due_mono_ms)
{
    struct lane *lane = place->lane;

    if (due_mono_ms == 0)
        lane_add(queue, lane, place->seq, xstrdup(place->job_id));
    else {
        lane->held++;
        waiting_push(&queue->later, (struct waiting){due_mono_ms, place->seq, xstrdup(place->job_id), lane});
    }
    queue_leave(queue, lane);
}

void queue_step(struct queue *queue, int64_t now_mono_ms)
{
    while (queue->later.count > 0 && queue->later.items[0].key <= now_mono_ms) {
        struct waiting job = waiting_pop(&queue->later);
        job.lane->held--;
        lane_add(queue, job.lane, job.seq, job.job_id);
    }
}

int64_t queue_due_ms(const struct queue *queue)
{
    return queue->later.count > 0 ? queue->later.items[0].key : INT64_MAX;
}
