/* The handlers, one file a resource in src/handlers: JSON into a struct, a call to store or jobs, a struct into JSON.
 * Bound to methods, paths and permissions in src/app/routes.c. Loop threads. */
#ifndef BAILIFF_HANDLERS_H
#define BAILIFF_HANDLERS_H

#include "bailiff/services.h"

enum flow health_live(struct exchange *x);
enum flow health_ready(struct exchange *x);
enum flow auth_me(struct exchange *x);
enum flow auth_can_i(struct exchange *x);
enum flow resource_metadata(struct exchange *x); /* RFC 9728 */
enum flow configs_list(struct exchange *x);
enum flow revocations_list(struct exchange *x);
enum flow revocations_create(struct exchange *x);
enum flow revocations_delete(struct exchange *x);
enum flow tasks_list(struct exchange *x);
enum flow tasks_create(struct exchange *x);
enum flow tasks_get(struct exchange *x);
enum flow tasks_delete(struct exchange *x);
enum flow tasks_submit(struct exchange *x);
enum flow jobs_list(struct exchange *x);
enum flow jobs_create(struct exchange *x);
enum flow jobs_get(struct exchange *x);
enum flow jobs_delete(struct exchange *x);
enum flow jobs_submit(struct exchange *x);
enum flow jobs_log(struct exchange *x);
enum flow jobs_cancel(struct exchange *x);
enum flow jobs_events(struct exchange *x);
enum flow events_stream(struct exchange *x);
enum flow submissions_list(struct exchange *x);
enum flow submissions_get(struct exchange *x);
enum flow queue_get(struct exchange *x);
enum flow queue_pause(struct exchange *x);
enum flow queue_resume(struct exchange *x);
enum flow datanodes_list(struct exchange *x);
enum flow datanodes_get(struct exchange *x);
enum flow datanodes_read(struct exchange *x);

#endif
