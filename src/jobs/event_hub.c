#include "bailiff/event_hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { BUCKETS = 256 };

struct event_place {
    struct event_hub *hub;
    struct event_place *next, **at; /* in its bucket */
    bool news;
    struct ticket *ticket;       /* NULL: nobody waits */
    char job_id[ENTITY_ID_SIZE]; /* "": of any job */
};

struct event_hub {
    pthread_mutex_t lock;
    atomic_size_t places; /* so that telling nobody needs no lock */
    struct event_place *of_any, *of_job[BUCKETS];
};

struct event_hub *event_hub_new(void)
{
    struct event_hub *hub = xcalloc(1, sizeof(*hub));

    pthread_mutex_init(&hub->lock, NULL);
    return hub;
}

void event_hub_free(struct event_hub *hub)
{
    if (!hub)
        return;
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static struct event_place **bucket_of(struct event_hub *hub, const char *job_id)
{
    uint32_t hash = 2166136261u;

    for (const char *c = job_id; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    return *job_id ? &hub->of_job[hash % BUCKETS] : &hub->of_any;
}

static void tell(struct event_place *place)
{
    place->news = true;
    if (place->ticket)
        ticket_complete(place->ticket);
    place->ticket = NULL;
}

/* A place that is taken at this moment may be missed here: it has not looked yet, and will see the commit. */
void event_hub_tell(struct event_hub *hub, const struct job_event *events, size_t count)
{
    if (count == 0 || atomic_load(&hub->places) == 0)
        return;
    pthread_mutex_lock(&hub->lock);
    for (struct event_place *place = hub->of_any; place; place = place->next)
        tell(place);
    for (size_t i = 0; i < count; i++)
        for (struct event_place *place = *bucket_of(hub, events[i].job_id); place; place = place->next)
            if (strcmp(place->job_id, events[i].job_id) == 0)
                tell(place);
    pthread_mutex_unlock(&hub->lock);
}

struct event_place *event_place_new(struct event_hub *hub, const char *job_id)
{
    struct event_place *place = xcalloc(1, sizeof(*place));

    place->hub = hub;
    snprintf(place->job_id, sizeof(place->job_id), "%s", job_id ? job_id : "");
    pthread_mutex_lock(&hub->lock);
    place->at = bucket_of(hub, place->job_id);
    place->next = *place->at;
    if (place->next)
        place->next->at = &place->next;
    *place->at = place;
    atomic_fetch_add(&hub->places, 1);
    pthread_mutex_unlock(&hub->lock);
    return place;
}

void event_place_free(struct event_place *place)
{
    if (!place)
        return;
    pthread_mutex_lock(&place->hub->lock);
    *place->at = place->next;
    if (place->next)
        place->next->at = place->at;
    atomic_fetch_sub(&place->hub->places, 1);
    pthread_mutex_unlock(&place->hub->lock);
    if (place->ticket)
        ticket_complete(place->ticket);
    free(place);
}

void event_place_look(struct event_place *place)
{
    pthread_mutex_lock(&place->hub->lock);
    place->news = false;
    pthread_mutex_unlock(&place->hub->lock);
}

void event_place_await(struct event_place *place, struct ticket *ticket)
{
    struct ticket *done = ticket;

    pthread_mutex_lock(&place->hub->lock);
    if (!place->news) {
        done = place->ticket;
        place->ticket = ticket;
    }
    pthread_mutex_unlock(&place->hub->lock);
    if (done)
        ticket_complete(done);
}
