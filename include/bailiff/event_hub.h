/* Who wants to know when something became of a job: streams of events sleep here until the writer has committed one.
 *
 * The hub says only that there is news; what it is stands in the store. Places belong to loop threads, telling is the writer's. */
#ifndef BAILIFF_EVENT_HUB_H
#define BAILIFF_EVENT_HUB_H

#include "bailiff/store.h"
#include "bailiff/ticket.h"

struct event_hub;
struct event_hub *event_hub_new(void);
void event_hub_free(struct event_hub *hub); /* NULL ok; nobody has a place any more */
/* Writer thread, after the commit. Costs next to nothing while nobody has a place. */
void event_hub_tell(struct event_hub *hub, const struct job_event *events, size_t count);

struct event_place;
struct event_place *event_place_new(struct event_hub *hub, const char *job_id /* NULL: of any job */);
void event_place_free(struct event_place *place); /* NULL ok; a ticket that waits is completed */
/* Before the store is read (with a view that begins afterwards): what is told from now on is news. */
void event_place_look(struct event_place *place);
/* Completes the ticket when there is news; at once if there is some since the last look. An earlier ticket is completed. */
void event_place_await(struct event_place *place, struct ticket *ticket);

#endif
