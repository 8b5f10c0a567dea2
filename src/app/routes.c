/* Every stage, every route, and what each needs. A row without a permission denies. */
#include "app/routes.h"
#include "bailiff/handlers.h"
#include "bailiff/middleware.h"

/* Tables are read by their columns. */
/* clang-format off */
static const struct stage STAGES[] = { /* entered downwards, left upwards */
    /* name          enter              leave         done         */
    {"request-id",  request_id_enter,  NULL,         NULL},
    {"audit",       NULL,              audit_leave,  NULL}, /* outside: refusals are recorded too */
    {"cors",        NULL,              cors_leave,   NULL}, /* also on the answers of the stages below */
    {"peer-limits", peer_limits_enter, NULL,         NULL}, /* by address, before any cryptography */
    {"preflight",   preflight_enter,   NULL,         NULL}, /* behind the limit, before a token is asked for */
    {"authn",       authn_enter,       NULL,         NULL},
    {"quota",       quota_enter,       NULL,         quota_done}, /* by issuer and subject */
    {"authz",       authz_enter,       NULL,         NULL},
    {"body",        body_enter,        NULL,         NULL},
    {"replay",      replay_enter,      replay_leave, replay_done}, /* Idempotency-Key: look-up only */
};

static const struct route ROUTES[] = {
    /* method  path                                            needs           body      handler           */
    {GET,    "/livez",                                         PERM_PUBLIC,    0,        health_live},
    {GET,    "/readyz",                                        PERM_PUBLIC,    0,        health_ready},
    {GET,    "/.well-known/oauth-protected-resource/api/v1",   PERM_PUBLIC,    0,        resource_metadata},

    {GET,    "/api/v1/auth/me/",                               PERM_ANY,       0,        auth_me},
    {POST,   "/api/v1/auth/can-i/",                            PERM_ANY,       KIB(16),  auth_can_i},
    {GET,    "/api/v1/configs/",                               CONFIGS_READ,   0,        configs_list},

    {GET,    "/api/v1/revocations/",                           REVOCATIONS_READ,  0,       revocations_list},
    {POST,   "/api/v1/revocations/",                           REVOCATIONS_WRITE, KIB(16), revocations_create},
    {DELETE, "/api/v1/revocations/{id}/",                      REVOCATIONS_WRITE, 0,       revocations_delete},

    {GET,    "/api/v1/tasks/",                                 TASKS_READ,     0,        tasks_list},
    {POST,   "/api/v1/tasks/",                                 TASKS_CREATE,   KIB(64),  tasks_create},
    {GET,    "/api/v1/tasks/{id}/",                            TASKS_READ,     0,        tasks_get},
    {DELETE, "/api/v1/tasks/{id}/",                            TASKS_DELETE,   0,        tasks_delete},
    {POST,   "/api/v1/tasks/submit/{id}/",                     TASKS_SUBMIT,   KIB(64),  tasks_submit},

    {GET,    "/api/v1/jobs/",                                  JOBS_READ,      0,        jobs_list},
    {POST,   "/api/v1/jobs/",                                  JOBS_CREATE,    KIB(64),  jobs_create},
    {GET,    "/api/v1/jobs/{id}/",                             JOBS_READ,      0,        jobs_get},
    {DELETE, "/api/v1/jobs/{id}/",                             JOBS_DELETE,    0,        jobs_delete},
    {GET,    "/api/v1/jobs/{id}/log/",                         JOBS_READ,      0,        jobs_log},
    {GET,    "/api/v1/jobs/{id}/events/",                      JOBS_READ,      0,        jobs_events},
    {POST,   "/api/v1/jobs/submit/{id}/",                      JOBS_SUBMIT,    KIB(64),  jobs_submit},
    {POST,   "/api/v1/jobs/cancel/{id}/",                      JOBS_CANCEL,    KIB(64),  jobs_cancel},

    {GET,    "/api/v1/queue/",                                 QUEUE_READ,     0,        queue_get},
    {POST,   "/api/v1/queue/pause/",                           QUEUE_WRITE,    KIB(16),  queue_pause},
    {POST,   "/api/v1/queue/resume/",                          QUEUE_WRITE,    KIB(16),  queue_resume},

    {GET,    "/api/v1/events/",                                JOBS_READ,      0,        events_stream},

    {GET,    "/api/v1/submissions/",                           SUBMISSIONS_READ, 0,      submissions_list},
    {GET,    "/api/v1/submissions/{id}/",                      SUBMISSIONS_READ, 0,      submissions_get},

    {GET,    "/api/v1/datanodes/",                             DATANODES_READ, 0,        datanodes_list},
    {GET,    "/api/v1/datanodes/{id}/",                        DATANODES_READ, 0,        datanodes_get},
    {GET,    "/api/v1/datanodes/{id}/read/",                   DATANODES_READ, KIB(64),  datanodes_read},
};
/* clang-format on */

const struct chain BAILIFF_CHAIN = {
    .stages = STAGES,
    .stage_count = ARRAY_LEN(STAGES),
    .routes = {ROUTES, ARRAY_LEN(ROUTES)},
};

size_t routes_body_max(void)
{
    size_t max = 0;

    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++)
        if (ROUTES[i].body_max > max)
            max = ROUTES[i].body_max;
    return max;
}
