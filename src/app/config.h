/* bailiff.yaml as a struct. Read once at start and again on SIGHUP; immutable afterwards. Main thread.
 *
 * Every setting is one row of the tables in config_schema.c; the same rows read, check and print it. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/problems.h"
#include "app/yaml.h"
#include "bailiff/auth.h"
#include "bailiff/http.h"
#include "bailiff/log.h"
#include "bailiff/model.h"
#include "bailiff/policy.h"
#include "bailiff/services.h"

/* Each section starts with the node it was read from (NULL: it is not in the file), so that later checks can name lines. */
struct config_listener {
    const struct yaml_node *node;
    const char *address;
    unsigned port;
    bool tls;
    const char *certificate, *key, *client_ca, *ocsp_file;
    int client_certificate; /* enum config_client_certificate */
    struct id_list client_crl;
    int proxy_protocol; /* 1: v2 */
};
enum config_client_certificate { CLIENT_CERTIFICATE_NONE, CLIENT_CERTIFICATE_REQUIRED, CLIENT_CERTIFICATE_OPTIONAL };
enum config_preset {
    PRESET_NONE,
    PRESET_KEYCLOAK,
    PRESET_ENTRA,
    PRESET_OKTA,
    PRESET_AUTH0,
    PRESET_GOOGLE,
    PRESET_COUNT
};
struct config_issuer {
    const struct yaml_node *node;
    const char *issuer;
    int preset; /* enum config_preset */
    struct id_list audiences;
    const char *jwks_file, *pem_file, *secret_file;
    const char *discovery; /* "true", or an address */
    const char *jwks_uri, *ca_file, *proxy;
    uint64_t keys_refresh_max_ms, keys_stale_max_ms; /* 0: auth's default */
    unsigned keys_refetch_ms;                        /* likewise */
    const char *algorithm, *key_id;
    struct id_list algorithms;
    int profile; /* enum token_profile */
    struct id_list role_claims;
    struct config_role_map {
        struct role_mapping *items;
        size_t count;
    } role_map;
    const char *role_prefix;
    struct config_role_map require_claims; /* pointer to value */
    unsigned roles_max;
    unsigned leeway_ms;
    uint64_t lifetime_max_ms;
    int token_use; /* 1: must be "access" */
    bool sound;    /* nothing is wrong with its text: its keys can be tried */
};
struct config_sections { /* a list of one of the above; or of the next, by their names */
    void *items;
    size_t count;
};
struct config_retries {
    bool given;
    struct retries retries;
};
struct config_task { /* what the operator says of one task configuration */
    const struct yaml_node *node;
    const char *name;
    uint64_t timeout_ms; /* 0: not said */
    struct config_retries retries;
    int lost_jobs;        /* enum lost_rule */
    unsigned concurrency; /* 0: not said */
};

enum shutdown_jobs { SHUTDOWN_REQUEUE, SHUTDOWN_WAIT, SHUTDOWN_FAIL };

struct config {
    struct arena arena; /* owns everything below */
    const char *file;   /* as it was named */
    const char *folder; /* absolute: what relative paths are relative to */
    const struct yaml_node *node;

    struct config_server {
        const struct yaml_node *node;
        const char *public_url;
        unsigned loops;
        unsigned drain_timeout_ms;
        struct id_list trusted_proxies;
        struct config_sections listeners; /* of struct config_listener */
    } server;
    struct config_limits {
        const struct yaml_node *node;
        unsigned connections, connections_per_address, handshakes, streams, http2_resets;
        uint64_t head, body;
        unsigned handshake_timeout_ms, idle_timeout_ms, head_timeout_ms, body_timeout_ms, write_timeout_ms;
        uint64_t memory_budget;
        struct config_rate {
            const struct yaml_node *node;
            unsigned requests_per_second, burst, concurrent, streams, refusals_per_minute, refusals_burst;
            unsigned unfinished_jobs;
            uint64_t bodies;
        } address, subject;
    } limits;
    struct config_store {
        const struct yaml_node *node;
        const char *folder;
        unsigned queue;
        uint64_t idempotency_ttl_ms;
    } store;
    struct config_events {
        const struct yaml_node *node;
        unsigned max, heartbeat_ms;
        uint64_t keep_ms;
    } events;
    const char *application;
    struct config_execution {
        const struct yaml_node *node;
        const char *python, *package;
        unsigned workers;
        int same_user; /* 1: unsafe */
        const char *user, *socket, *work_folder;
        struct id_list environment; /* names of variables */
        unsigned grace_ms;
        uint64_t log_max, output_max;
        int lost_jobs; /* 0: restart; 1: fail */
        unsigned attempts;
        struct config_limits_of_jobs {
            const struct yaml_node *node;
            unsigned per_task, per_subject; /* 0: no limit */
        } limits;
        struct config_defaults_of_tasks {
            const struct yaml_node *node;
            uint64_t timeout_ms; /* 0: none */
            struct config_retries retries;
        } defaults;
        struct config_sections tasks; /* of struct config_task */
        struct config_maximum {
            const struct yaml_node *node;
            uint64_t timeout_ms, retry_delay_ms;
            unsigned retries;
        } maximum;
        unsigned uid, gid; /* of `user`, once it was looked up; 0: none */
    } execution;
    struct config_shutdown {
        const struct yaml_node *node;
        int jobs; /* enum shutdown_jobs */
        unsigned deadline_ms;
    } shutdown;
    struct config_policy {
        const struct yaml_node *node;
        const char *roles;
    } policy;
    struct config_sections issuers; /* of struct config_issuer */
    struct config_signing {
        const struct yaml_node *node;
        const char *issuer, *audience, *key;
    } signing;
    struct config_cors {
        const struct yaml_node *node;
        struct id_list origins;
    } cors;
    struct config_api {
        const struct yaml_node *node;
        int wire; /* enum wire */
    } api;
    struct config_audit {
        const struct yaml_node *node;
        unsigned refusals_recorded_a_minute;
    } audit;
    struct config_log {
        const struct yaml_node *node;
        int format; /* enum log_format */
        int level;  /* enum log_level */
        bool access;
    } log;
};

static inline const struct config_listener *config_listener(const struct config *c, size_t i)
{
    return (const struct config_listener *)c->server.listeners.items + i;
}
static inline const struct config_task *config_task(const struct config *c, size_t i)
{
    return (const struct config_task *)c->execution.tasks.items + i;
}
static inline const struct config_issuer *config_issuer(const struct config *c, size_t i)
{
    return (const struct config_issuer *)c->issuers.items + i;
}

static inline bool config_takes_client_certificates(const struct config *c)
{
    for (size_t i = 0; i < c->server.listeners.count; i++)
        if (config_listener(c, i)->client_ca)
            return true;
    return false;
}

/* Users' code may run as the server's own user, and can read all that this can. */
static inline bool config_same_user(const struct config *c)
{
    return c->execution.same_user && !c->execution.user;
}

/* How much is looked at besides the file's own text. */
enum config_depth {
    CONFIG_TEXT,   /* nothing: for tools that need a setting or two */
    CONFIG_MACHINE /* files, users, folders: what a server would need */
};
/* Reads and checks. All mistakes go to `problems` (made here, the caller's to end); the config is good if there are none. NULL
 * if the file could not be read at all. */
struct config *config_load(const char *path, enum config_depth depth, struct problems *problems);
void config_free(struct config *c); /* NULL ok */
static inline void config_freep(struct config **c)
{
    config_free(*c);
}
/* $BAILIFF_CONFIG or /etc/bailiff/bailiff.yaml, unless named. */
const char *config_path(const char *named);

/* The effective settings, defaults included, as a file that reads the same. */
void config_print(const struct config *c, struct text *out);
/* The same without what SIGHUP replaces. */
void config_print_fixed(const struct config *c, struct text *out);

struct listener_options;
/* The listener as the server wants it; strings are the config's or the arena's. */
void config_listener_options(const struct config *c, size_t index, struct arena *arena, struct listener_options *ret);

/* What SIGHUP replaces: reads roles and keys. Mistakes go to `problems`; what config_load complained of is not repeated. */
must_check bool config_load_policy(const struct config *c, struct problems *problems, struct policy **ret_policy);
must_check bool config_load_verifier(const struct config *c, struct problems *problems, struct verifier **ret_verifier);

#endif
