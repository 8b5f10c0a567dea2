/* The running server: everything that main makes, and ends in reverse. Private to serve*.c. Main thread. */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include "app/command.h"
#include "app/config.h"
#include "bailiff/middleware.h"
#include "bailiff/server.h"

struct serving {
    struct call *call;
    struct config *config;
    struct problems problems; /* warnings, once it is good */
    struct log *log;
    struct manifest *manifest;
    struct jobs *jobs;
    bool jobs_started;
    struct store *store;
    struct event_hub *hub;
    struct server *server;
    struct revocations *revocations;
    struct keyring *keyring;
    pthread_mutex_t swap_lock; /* who makes a new snapshot from the current one holds it; taken before snapshot_lock */
    pthread_mutex_t snapshot_lock;
    struct snapshot *snapshot; /* the current one */
    struct arena arena;        /* of what services and options point to */
    struct services services;
    atomic_int_fast64_t revocation_lists_until_s; /* see services */
    bool lists_expired;                           /* that was said */
};

/* serve_setup.c: each makes one thing; on failure nothing of it is left. */
must_check bool serve_make_jobs(struct serving *s, struct fault *fault);
must_check bool serve_load_application(struct serving *s, struct fault *fault);
/* serve_controls.c */
must_check bool serve_apply_controls(struct serving *s, struct fault *fault);
must_check bool serve_make_store(struct serving *s, struct fault *fault);
void serve_fill_services(struct serving *s);
must_check bool serve_make_server(struct serving *s, struct fault *fault);
/* Revocation lists of clients' CAs: after they were read; and now and then, for they expire. */
void serve_look_at_lists(struct serving *s);
void serve_watch_lists(struct serving *s);

/* What was revoked before; after the store was made. */
must_check bool serve_load_revocations(struct serving *s, struct fault *fault);

/* serve_keys.c: keys that are fetched. */
must_check bool serve_make_keyring(struct serving *s, struct fault *fault);
/* The snapshot of a configuration that was just read, with the keys that are known; takes it over, and puts it in force. */
void serve_put_in_force(struct serving *s, struct snapshot *fresh);

/* The server's own deeds stand in the audit log too. policy: in force from then on. reason: why it failed, or NULL. */
must_check bool serve_audit(struct serving *s, const char *action, const struct policy *policy, const char *reason,
                            struct fault *fault);

/* The warnings or mistakes of a configuration, for whoever reads the log. */
void serve_log_problems(struct serving *s, const struct problems *problems);
/* serve_reload.c: SIGHUP. Roles, issuers, keys and certificates are replaced together, or not at all. */
void serve_reload(struct serving *s);

#endif
