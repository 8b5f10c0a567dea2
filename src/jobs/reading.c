/* Reading a data node's value: Python makes JSON of it, the server hands out an unlinked copy of its own.
 *
 * The runner reads one after the other, and a value may take long: so readers take turns, and one reader cannot take all places. */
#include <fcntl.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

enum { READING_TIMEOUT_MS = 90000 };

static void data_reading_free(void *payload)
{
    struct data_reading *result = payload;

    closep(&result->fd);
    free(result);
}

static bool take_place(struct jobs *jobs, const uint8_t reader[static SUBMITTER_SIZE], unsigned *ret_place,
                       struct fault *fault)
{
    unsigned free_place = READS_MAX, of_reader = 0;

    pthread_mutex_lock(&jobs->reads_lock);
    for (unsigned i = 0; i < READS_MAX; i++) {
        const struct read_place *place = &jobs->read_places[i];
        if (!place->taken)
            free_place = i;
        else if (memcmp(place->reader, reader, SUBMITTER_SIZE) == 0)
            of_reader++;
    }
    bool taken = free_place < READS_MAX && of_reader < READS_OF_ONE_MAX;
    if (taken) {
        jobs->read_places[free_place].taken = true;
        memcpy(jobs->read_places[free_place].reader, reader, SUBMITTER_SIZE);
    }
    pthread_mutex_unlock(&jobs->reads_lock);
    *ret_place = free_place;
    if (taken)
        return true;
    if (of_reader < READS_OF_ONE_MAX)
        return fault_unavailable(fault, 1, "Too many data nodes are being read.");
    fault_set(fault, FAULT_TOO_MANY, "This subject reads %d data nodes at this moment, and may read no more at once.",
              READS_OF_ONE_MAX);
    fault_detail(fault, "data nodes read at once");
    fault->retry_after_s = 1;
    return false;
}

static void leave_place(struct jobs *jobs, unsigned place)
{
    pthread_mutex_lock(&jobs->reads_lock);
    jobs->read_places[place].taken = false;
    pthread_mutex_unlock(&jobs->reads_lock);
}

static bool same_reader(const struct reading *a, const struct reading *b)
{
    const struct read_place *places = a->jobs->read_places; /* theirs do not change while they have them */

    return memcmp(places[a->place].reader, places[b->place].reader, SUBMITTER_SIZE) == 0;
}

/* Unlinks it from the list and tells its ticket; `result` goes with it. */
static void reading_complete(struct reading *reading, struct data_reading *result)
{
    struct jobs *jobs = reading->jobs;

    for (struct reading **place = &jobs->readings; *place; place = &(*place)->next)
        if (*place == reading) {
            *place = reading->next;
            break;
        }
    leave_place(jobs, reading->place);
    ticket_set_payload(reading->ticket, result, data_reading_free);
    ticket_complete(reading->ticket);
    free(reading->file);
    free(reading->storage_type);
    free(reading->path);
    free(reading->properties);
    free(reading->filter);
    free(reading);
}

static void reading_fail(struct reading *reading, const struct fault *fault)
{
    struct data_reading *result = xcalloc(1, sizeof *result);

    result->fd = -1;
    result->fault = *fault;
    reading_complete(reading, result);
}

static void reading_unavailable(struct reading *reading, const char *why)
{
    struct fault fault = {0};

    fault_unavailable(&fault, 5, "The data node cannot be read now: %s", why);
    reading_fail(reading, &fault);
}

static void send_read(struct reading *reading)
{
    struct jobs *jobs = reading->jobs;
    own(text_done) struct text json = {0};
    struct fault fault = {0};

    reading->number = ++jobs->last_request;
    jw_open(&json, '{');
    jw_member_string(&json, "op", "read");
    jw_member_int(&json, "request", reading->number);
    jw_member_string(&json, "root", jobs->manifest->root);
    jw_member_string(&json, "storage_type", reading->storage_type);
    jw_member_string(&json, "path", reading->path);
    jw_member_raw(&json, "properties", reading->properties);
    jw_member_raw(&json, "filter", reading->filter);
    jw_close(&json, '}');
    if (!link_send(&jobs->client.link, text_span(&json), &fault))
        reading_fail(reading, &fault);
}

/* Each of a reader's is a round later than its last, and nobody begins before those who were served already. */
static void queue_read(struct reading *reading)
{
    struct jobs *jobs = reading->jobs;
    struct reading **end = &jobs->readings;

    reading->round = jobs->reads_round;
    reading->deadline_ms = clock_mono_ms() + READING_TIMEOUT_MS;
    for (; *end; end = &(*end)->next)
        if (same_reader(*end, reading))
            reading->round = MAX(reading->round, (*end)->round + 1);
    reading->next = NULL;
    *end = reading;
}

static bool is_with_runner(const struct reading *reading)
{
    return reading->number != 0 && !reading->moving;
}

/* The others wait here, where it is known whose they are. */
static void send_next(struct jobs *jobs)
{
    struct reading *next = NULL;

    for (struct reading *reading = jobs->readings; reading; reading = reading->next) {
        if (is_with_runner(reading))
            return;
        if (reading->number == 0 && (!next || reading->round < next->round))
            next = reading;
    }
    if (!next || jobs->client.state != CLIENT_READY)
        return;
    jobs->reads_round = next->round;
    send_read(next);
}

static void reading_deliver(struct parcel *parcel)
{
    struct reading *reading = container_of(parcel, struct reading, parcel);
    struct jobs *jobs = reading->jobs;

    queue_read(reading);
    if (jobs->client.state != CLIENT_READY || jobs->stopping)
        reading_unavailable(reading, "the runner is not connected.");
}

bool jobs_read_data(struct jobs *jobs, const struct data_node *data_node, const uint8_t reader[static SUBMITTER_SIZE],
                    const char *filter_json, struct ticket *ticket, struct fault *fault)
{
    unsigned place;
    own(arena_done) struct arena arena = {0};
    const char *path = node_path(jobs, &arena, data_node);

    if (!path)
        return fault_set(fault, FAULT_CONFLICT, "DataNode %s has not been written yet.", data_node->id);
    if (!atomic_load(&jobs->connected))
        return fault_unavailable(fault, 5, "The runner, which reads data nodes, is not connected.");
    if (!take_place(jobs, reader, &place, fault))
        return false;
    struct reading *reading = xcalloc(1, sizeof *reading);
    reading->parcel.deliver = reading_deliver;
    reading->jobs = jobs;
    reading->place = place;
    reading->ticket = ticket;
    reading->file = data_node->file ? xstrdup(data_node->file) : NULL;
    reading->storage_type = xstrdup(storage_type_name(data_node->storage_type));
    reading->path = xstrdup(path);
    reading->properties = xstrdup(data_node->properties ? data_node->properties : "{}");
    reading->filter = filter_json ? xstrdup(filter_json) : NULL;
    if (!jobs_post(jobs, &reading->parcel)) {
        reading->next = NULL;
        reading_unavailable(reading, "the server is stopping.");
    }
    return true;
}

static void moved(struct parcel *parcel)
{
    struct move *move = container_of(parcel, struct move, parcel);
    struct reading *reading = move->subject;
    struct jobs *jobs = reading->jobs;

    jobs->in_flight--;
    client_number(jobs, "forget", "request", reading->number);
    if (!move->ok)
        reading_unavailable(reading, move->fault.message);
    else if (lseek(move->files[0].fd, 0, SEEK_SET) < 0)
        reading_unavailable(reading, "its copy cannot be rewound.");
    else {
        struct data_reading *result = xcalloc(1, sizeof *result);
        *result = (struct data_reading){.ok = true, .fd = move->files[0].fd, .size = move->files[0].size};
        move->files[0].fd = -1;
        reading_complete(reading, result);
    }
    move_free(move);
}

/* A copy of our own: the original could be changed while it is streamed. */
static void take_result(struct reading *reading)
{
    struct jobs *jobs = reading->jobs;
    struct move *move = move_new(1);

    reading->moving = true;
    move->parcel.deliver = moved;
    move->subject = reading;
    move->folder = fcntl(jobs->client.folder, F_DUPFD_CLOEXEC, 0);
    move->owner = jobs->client.uid;
    move->size_max = jobs->options.output_max_bytes;
    move->files[0].from[0] = xstrdup("reads");
    move->files[0].from[1] = xprintf("%lld", (long long)reading->number);
    jobs->in_flight++;
    mover_submit(jobs->mover, move);
}

static void refuse(struct reading *reading, const struct answer *answer)
{
    struct fault fault = {0};
    own(text_done) struct text line = {0};

    message_one_line(&line, answer->error ? answer->error : "no reason was given.");
    if (str_eq(answer->kind, "invalid_filter"))
        fault_set(&fault, FAULT_INVALID, "%s", line.data);
    else if (str_eq(answer->kind, "unreadable"))
        fault_set(&fault, FAULT_UNPROCESSABLE, "The data node's value cannot be read: %s", line.data);
    else
        fault_unavailable(&fault, 5, "The data node cannot be read now: %s", line.data);
    reading_fail(reading, &fault);
}

void readings_answered(struct jobs *jobs, const struct answer *answer)
{
    for (struct reading *reading = jobs->readings; reading; reading = reading->next)
        if (is_with_runner(reading) && reading->number == answer->number) {
            if (answer->ok)
                take_result(reading);
            else
                refuse(reading, answer);
            return;
        }
    if (answer->ok) /* too late: nobody fetches it */
        client_number(jobs, "forget", "request", answer->number);
}

void readings_unavailable(struct jobs *jobs, const char *why)
{
    for (struct reading *reading = jobs->readings, *next; reading; reading = next) {
        next = reading->next;
        if (!reading->moving)
            reading_unavailable(reading, why);
    }
}

void readings_step(struct jobs *jobs, int64_t now_ms)
{
    for (struct reading *reading = jobs->readings, *next; reading; reading = next) {
        next = reading->next;
        if (reading->moving || (now_ms < reading->deadline_ms && !ticket_abandoned(reading->ticket)))
            continue;
        if (reading->number != 0)
            client_number(jobs, "forget", "request", reading->number); /* should it still wait for its turn */
        reading_unavailable(reading, "it takes too long.");
    }
    send_next(jobs);
}
