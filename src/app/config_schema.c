#include "app/config_schema.h"

static const char *const SAME_USER[] = {"forbidden", "unsafe", NULL};
static const char *const LOST_JOBS[] = {"restart", "fail", NULL};
static const char *const TASK_LOST_JOBS[] = {
    [LOST_UNSAID] = "default", [LOST_RESTART] = "restart", [LOST_FAIL] = "fail", NULL};
static const char *const SHUTDOWN_JOBS[] = {
    [SHUTDOWN_REQUEUE] = "requeue", [SHUTDOWN_WAIT] = "wait", [SHUTDOWN_FAIL] = "fail", NULL};
static const char *const PROFILES[] = {[TOKEN_PROFILE_JWT] = "jwt", [TOKEN_PROFILE_AT_JWT] = "at+jwt", NULL};
static const char *const PRESETS[] = {
    [PRESET_NONE] = "none",   [PRESET_KEYCLOAK] = "keycloak", [PRESET_ENTRA] = "entra", [PRESET_OKTA] = "okta",
    [PRESET_AUTH0] = "auth0", [PRESET_GOOGLE] = "google",     [PRESET_COUNT] = NULL};
static const char *const TOKEN_USES[] = {"any", "access", NULL};
static const char *const WIRES[] = {[WIRE_DOCUMENTED] = "documented", [WIRE_TAIPY] = "taipy", NULL};
static const char *const CLIENT_CERTIFICATES[] = {[CLIENT_CERTIFICATE_NONE] = "none",
                                                  [CLIENT_CERTIFICATE_REQUIRED] = "required",
                                                  [CLIENT_CERTIFICATE_OPTIONAL] = "optional",
                                                  NULL};
static const char *const PROXY_PROTOCOLS[] = {"none", "v2", NULL};
static const char *const FORMATS[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json", NULL};
static const char *const LEVELS[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARNING] = "warning", [LOG_ERROR] = "error", NULL};

enum { MS = 1, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAYS(n) ((uint64_t)(n)*24 * HOUR)

#define TEXT .kind = SETTING_TEXT, .min = 1, .max = 1024
#define PATH .kind = SETTING_PATH, .min = 1, .max = 4095
#define TABLE(rows, type)                     \
    {                                         \
        (rows), ARRAY_LEN(rows), sizeof(type) \
    }

/* clang-format off */
#define AT(member) .offset = offsetof(struct config_listener, member)
static const struct setting LISTENER[] = {
    {"address", TEXT, AT(address), .required = true, .help = "an IP address, or the absolute path of a Unix socket"},
    {"port", SETTING_COUNT, AT(port), .min = 1, .max = 65535, .help = "the TCP port"},
    {"tls", SETTING_BOOL, AT(tls), "true", .help = "false only on loopback or a Unix socket"},
    {"certificate", PATH, AT(certificate), .help = "a PEM file with its chain behind it"},
    {"key", PATH, AT(key), .help = "a PEM file, readable by its owner only"},
    {"client_ca", PATH, AT(client_ca), .help = "a PEM file of the CAs whose certificates clients show"},
    {"client_certificate", SETTING_CHOICE, AT(client_certificate), "none", .choices = CLIENT_CERTIFICATES, .help = "whether clients must show a certificate"},
    {"client_crl", SETTING_PATHS, AT(client_crl), .max = 64, .help = "PEM files of the revocation lists of those CAs"},
    {"ocsp_file", PATH, AT(ocsp_file), .help = "a file with the OCSP response to staple, in DER"},
    {"proxy_protocol", SETTING_CHOICE, AT(proxy_protocol), "none", .choices = PROXY_PROTOCOLS, .help = "whether each connection begins with a PROXY header of one of server.trusted_proxies"},
};
#undef AT
static const struct setting_table LISTENER_TABLE = TABLE(LISTENER, struct config_listener);

#define AT(member) .offset = offsetof(struct config_server, member)
static const struct setting SERVER[] = {
    {"public_url", TEXT, AT(public_url), .required = true, .help = "the address that clients use, such as https://taipy.example.com"},
    {"loops", SETTING_COUNT, AT(loops), "0", 0, 256, .help = "the number of event loops; 0: one a core"},
    {"drain_timeout", SETTING_TIME, AT(drain_timeout_ms), "30s", 0, HOUR, .help = "how long requests in flight may take after SIGTERM"},
    {"trusted_proxies", SETTING_TEXTS, AT(trusted_proxies), .max = 256, .help = "addresses or ranges of proxies, or unix"},
    {"listeners", SETTING_SECTIONS, AT(listeners), .min = 1, .max = 64, .required = true, .section = &LISTENER_TABLE, .help = "where the server listens"},
};
#undef AT
static const struct setting_table SERVER_TABLE = TABLE(SERVER, struct config_server);

#define AT(member) .offset = offsetof(struct config_rate, member)
static const struct setting ADDRESS[] = {
    {"requests_per_second", SETTING_COUNT, AT(requests_per_second), "0", 0, 1000000, .help = "the rate allowed in the long run; 0: no limit"},
    {"burst", SETTING_COUNT, AT(burst), "0", 0, 1000000, .help = "how many may come at once; 0: as many as in a second"},
    {"refusals_per_minute", SETTING_COUNT, AT(refusals_per_minute), "6000", 0, 1000000, .help = "failed handshakes, malformed requests and bad tokens allowed in the long run; 0: no limit"},
    {"refusals_burst", SETTING_COUNT, AT(refusals_burst), "0", 0, 1000000, .help = "how many of them may come at once; 0: as many as in a minute"},
    {"bodies", SETTING_SIZE, AT(bodies), "0", 0, UINT64_C(1) << 44, .help = "memory_budget's part that bodies of one address may take together; 0: an eighth of what it has for bodies"},
};
static const struct setting SUBJECT[] = {
    {"requests_per_second", SETTING_COUNT, AT(requests_per_second), "0", 0, 1000000, .help = "the rate allowed in the long run; 0: no limit"},
    {"burst", SETTING_COUNT, AT(burst), "0", 0, 1000000, .help = "how many may come at once; 0: as many as in a second"},
    {"concurrent", SETTING_COUNT, AT(concurrent), "0", 0, 1000000, .help = "requests of one subject at the same time; 0: no limit"},
    {"streams", SETTING_COUNT, AT(streams), "100", 0, 1000000, .help = "answers to one subject that are produced piece by piece, at the same time; 0: no limit"},
    {"unfinished_jobs", SETTING_COUNT, AT(unfinished_jobs), "10000", 0, 100000000, .help = "jobs of one subject that have not ended; 0: no limit"},
};
#undef AT
static const struct setting_table ADDRESS_TABLE = TABLE(ADDRESS, struct config_rate);
static const struct setting_table SUBJECT_TABLE = TABLE(SUBJECT, struct config_rate);

#define AT(member) .offset = offsetof(struct config_limits, member)
static const struct setting LIMITS[] = {
    {"connections", SETTING_COUNT, AT(connections), "10000", 1, 1000000, .help = "open connections in all"},
    {"connections_per_address", SETTING_COUNT, AT(connections_per_address), "1000", 0, 1000000, .help = "open connections of one address (IPv6: of one /64); 0: no limit"},
    {"handshakes", SETTING_COUNT, AT(handshakes), "1000", 1, 1000000, .help = "TLS handshakes at the same time; beyond it the oldest is closed"},
    {"handshake_timeout", SETTING_TIME, AT(handshake_timeout_ms), "10s", 100 * MS, 10 * MINUTE, .help = "the time for a TLS handshake"},
    {"idle_timeout", SETTING_TIME, AT(idle_timeout_ms), "1m", 100 * MS, HOUR, .help = "how long a connection may wait for a request"},
    {"head_timeout", SETTING_TIME, AT(head_timeout_ms), "10s", 100 * MS, HOUR, .help = "the time for the head of a request"},
    {"body_timeout", SETTING_TIME, AT(body_timeout_ms), "30s", 100 * MS, HOUR, .help = "the time for the body of a request"},
    {"write_timeout", SETTING_TIME, AT(write_timeout_ms), "30s", 100 * MS, HOUR, .help = "the time for a client to read a piece of an answer"},
    {"streams", SETTING_COUNT, AT(streams), "1000", 0, 1000000, .help = "answers that are produced piece by piece, at the same time; 0: no limit"},
    {"http2_resets", SETTING_COUNT, AT(http2_resets), "1000", 0, 1000000, .help = "requests that one HTTP/2 connection may abort"},
    {"head", SETTING_SIZE, AT(head), "16KiB", KIB(1), KIB(16), .help = "the head of a request"},
    {"body", SETTING_SIZE, AT(body), "64KiB", KIB(1), MIB(1), .help = "the body of a request; a route may take less"},
    {"memory_budget", SETTING_SIZE, AT(memory_budget), "1GiB", MIB(1), UINT64_C(1) << 44, .help = "the memory for connections and bodies together"},
    {"address", SETTING_SECTION, AT(address), .section = &ADDRESS_TABLE, .help = "limits of a client's address"},
    {"subject", SETTING_SECTION, AT(subject), .section = &SUBJECT_TABLE, .help = "limits of a token's subject"},
};
#undef AT
static const struct setting_table LIMITS_TABLE = TABLE(LIMITS, struct config_limits);

#define AT(member) .offset = offsetof(struct config_store, member)
static const struct setting STORE[] = {
    {"folder", PATH, AT(folder), .required = true, .help = "the folder of the database and of all data; made if missing"},
    {"queue", SETTING_COUNT, AT(queue), "4096", 16, 1000000, .help = "changes that may wait for the disk"},
    {"idempotency_ttl", SETTING_LONG_TIME, AT(idempotency_ttl_ms), "24h", MINUTE, DAYS(90), .help = "how long an Idempotency-Key is remembered"},
};
#undef AT
static const struct setting_table STORE_TABLE = TABLE(STORE, struct config_store);

#define AT(member) .offset = offsetof(struct config_limits_of_jobs, member)
static const struct setting JOB_LIMITS[] = {
    {"per_task", SETTING_COUNT, AT(per_task), "0", 0, CONCURRENCY_MAX, .help = "attempts of one task configuration at once, where nothing else is said of it; 0: no limit"},
    {"per_subject", SETTING_COUNT, AT(per_subject), "0", 0, CONCURRENCY_MAX, .help = "attempts at once of what one subject has submitted; 0: no limit"},
};
#undef AT
static const struct setting_table JOB_LIMITS_TABLE = TABLE(JOB_LIMITS, struct config_limits_of_jobs);

#define AT(member) .offset = offsetof(struct config_defaults_of_tasks, member)
static const struct setting TASK_DEFAULTS[] = {
    {"timeout", SETTING_LONG_TIME, AT(timeout_ms), NULL, 1, TIMEOUT_MS_MAX, .help = "how long an attempt may take"},
    {"retries", SETTING_RETRIES, AT(retries), .help = "when a failed attempt is followed by another"},
};
#undef AT
static const struct setting_table TASK_DEFAULTS_TABLE = TABLE(TASK_DEFAULTS, struct config_defaults_of_tasks);

#define AT(member) .offset = offsetof(struct config_task, member)
static const struct setting TASK[] = {
    {"timeout", SETTING_LONG_TIME, AT(timeout_ms), NULL, 1, TIMEOUT_MS_MAX, .help = "how long an attempt may take"},
    {"retries", SETTING_RETRIES, AT(retries), .help = "when a failed attempt is followed by another"},
    {"lost_jobs", SETTING_CHOICE, AT(lost_jobs), "default", .choices = TASK_LOST_JOBS, .help = "what becomes of a job whose process was lost"},
    {"concurrency", SETTING_COUNT, AT(concurrency), NULL, 1, CONCURRENCY_MAX, .help = "attempts of it at once"},
};
#undef AT
static const struct setting_table TASK_TABLE = TABLE(TASK, struct config_task);

#define AT(member) .offset = offsetof(struct config_maximum, member)
static const struct setting MAXIMUM[] = {
    {"timeout", SETTING_LONG_TIME, AT(timeout_ms), "24h", 1, TIMEOUT_MS_MAX, .help = "the longest timeout that a submit may ask for"},
    {"retries", SETTING_COUNT, AT(retries), "10", 0, RETRIES_MAX, .help = "the most retries that a submit may ask for"},
    {"retry_delay", SETTING_LONG_TIME, AT(retry_delay_ms), "1h", 0, RETRY_DELAY_MS_MAX, .help = "the longest delay before a retry that a submit may ask for"},
};
#undef AT
static const struct setting_table MAXIMUM_TABLE = TABLE(MAXIMUM, struct config_maximum);

#define AT(member) .offset = offsetof(struct config_events, member)
static const struct setting EVENTS[] = {
    {"heartbeat", SETTING_TIME, AT(heartbeat_ms), "15s", SECOND, 10 * MINUTE, .help = "how long a stream of events may be silent"},
    {"max", SETTING_COUNT, AT(max), "1000000", 1000, 100000000, .help = "events that are kept for streams to resume; a job has about four"},
    {"keep", SETTING_LONG_TIME, AT(keep_ms), "168h", MINUTE, DAYS(366), .help = "how long they are kept"},
};
#undef AT
static const struct setting_table EVENTS_TABLE = TABLE(EVENTS, struct config_events);

#define AT(member) .offset = offsetof(struct config_execution, member)
static const struct setting EXECUTION[] = {
    {"python", TEXT, AT(python), "/usr/bin/python3", .help = "the absolute path of the application's Python interpreter"},
    {"package", PATH, AT(package), "/usr/lib/bailiff/python", .help = "the folder that holds bailiff_runner"},
    {"workers", SETTING_COUNT, AT(workers), "0", 0, 1024, .help = "attempts at once; 0: as the application says, else one a core"},
    {"same_user", SETTING_CHOICE, AT(same_user), "forbidden", .choices = SAME_USER, .help = "whether users' code may run as the server's own user"},
    {"user", TEXT, AT(user), .help = "the user that users' code runs as"},
    {"socket", PATH, AT(socket), .help = "the socket of a runner that was started on its own"},
    {"work_folder", PATH, AT(work_folder), "work", .help = "the folder of the runner that bailiff starts"},
    {"environment", SETTING_TEXTS, AT(environment), .max = 256, .help = "names of the server's environment variables that users' code gets"},
    {"grace", SETTING_TIME, AT(grace_ms), "10s", 0, HOUR, .help = "the time between SIGTERM and SIGKILL"},
    {"log_max", SETTING_SIZE, AT(log_max), "10MiB", KIB(1), UINT64_C(1) << 34, .help = "what is kept of an attempt's output"},
    {"output_max", SETTING_SIZE, AT(output_max), "1GiB", KIB(1), UINT64_C(1) << 44, .help = "the largest value of a data node"},
    {"lost_jobs", SETTING_CHOICE, AT(lost_jobs), "restart", .choices = LOST_JOBS, .help = "what becomes of a job whose process was lost"},
    {"attempts", SETTING_COUNT, AT(attempts), "3", 1, 100, .help = "attempts of a job that is lost again and again"},
    {"limits", SETTING_SECTION, AT(limits), .section = &JOB_LIMITS_TABLE, .help = "how many run at once"},
    {"defaults", SETTING_SECTION, AT(defaults), .section = &TASK_DEFAULTS_TABLE, .help = "what holds for tasks of which nothing else is said"},
    {"tasks", SETTING_NAMED, AT(tasks), .max = 10000, .section = &TASK_TABLE, .help = "what the operator says of tasks, by the ids of their configurations"},
    {"maximum", SETTING_SECTION, AT(maximum), .section = &MAXIMUM_TABLE, .help = "what a submit may ask for, at most"},
};
#undef AT
static const struct setting_table EXECUTION_TABLE = TABLE(EXECUTION, struct config_execution);

#define AT(member) .offset = offsetof(struct config_shutdown, member)
static const struct setting SHUTDOWN[] = {
    {"jobs", SETTING_CHOICE, AT(jobs), "requeue", .choices = SHUTDOWN_JOBS, .help = "what becomes of running jobs when the server is stopped"},
    {"deadline", SETTING_TIME, AT(deadline_ms), "1m", 0, 24 * HOUR, .help = "how long they may take to end, with jobs: wait"},
};
#undef AT
static const struct setting_table SHUTDOWN_TABLE = TABLE(SHUTDOWN, struct config_shutdown);

#define AT(member) .offset = offsetof(struct config_policy, member)
static const struct setting POLICY[] = {
    {"roles", PATH, AT(roles), .required = true, .help = "the file that says which role may do what"},
};
#undef AT
static const struct setting_table POLICY_TABLE = TABLE(POLICY, struct config_policy);

#define AT(member) .offset = offsetof(struct config_issuer, member)
static const struct setting ISSUER[] = {
    {"issuer", TEXT, AT(issuer), .required = true, .help = "the exact value of a token's iss"},
    {"preset", SETTING_CHOICE, AT(preset), "none", .choices = PRESETS, .help = "the provider whose tokens' shape is known"},
    {"audiences", SETTING_TEXTS, AT(audiences), .min = 1, .max = 64, .required = true, .help = "the values of aud that mean this server"},
    {"discovery", TEXT, AT(discovery), .help = "true, or the address of the provider's metadata"},
    {"jwks_uri", TEXT, AT(jwks_uri), .help = "the address of a JSON Web Key Set"},
    {"ca_file", PATH, AT(ca_file), .help = "a PEM file of the CAs that the provider's certificate is checked by"},
    {"proxy", TEXT, AT(proxy), .help = "the proxy on the way to the provider, such as http://proxy.example.com:3128"},
    {"keys_refresh_max", SETTING_LONG_TIME, AT(keys_refresh_max_ms), .min = SECOND, .max = DAYS(1), .help = "the longest time between two fetches of keys"},
    {"keys_stale_max", SETTING_LONG_TIME, AT(keys_stale_max_ms), .min = SECOND, .max = DAYS(30), .help = "how long keys are good while the provider is down"},
    {"keys_refetch_interval", SETTING_TIME, AT(keys_refetch_ms), .min = SECOND, .max = HOUR, .help = "the shortest time between two fetches for unknown keys"},
    {"jwks_file", PATH, AT(jwks_file), .help = "a JSON Web Key Set with public keys"},
    {"pem_file", PATH, AT(pem_file), .help = "a public key in PEM"},
    {"secret_file", PATH, AT(secret_file), .help = "a shared secret for HS256, HS384 or HS512"},
    {"algorithm", TEXT, AT(algorithm), .help = "the algorithm of a PEM key or secret"},
    {"key_id", TEXT, AT(key_id), .help = "the kid of a PEM key or secret"},
    {"algorithms", SETTING_TEXTS, AT(algorithms), .max = 16, .help = "the algorithms allowed"},
    {"profile", SETTING_CHOICE, AT(profile), "jwt", .choices = PROFILES, .help = "whether RFC 9068's type is demanded"},
    {"role_claims", SETTING_TEXTS, AT(role_claims), "/roles", .min = 1, .max = 16, .help = "JSON pointers to roles"},
    {"role_map", SETTING_ROLE_MAP, AT(role_map), .max = 1000, .help = "the provider's names of roles, and ours"},
    {"require_claims", SETTING_ROLE_MAP, AT(require_claims), .max = 32, .help = "JSON pointers, and the text that must stand there"},
    {"role_prefix", TEXT, AT(role_prefix), .help = "what is taken off a role's name first"},
    {"roles_max", SETTING_COUNT, AT(roles_max), "64", 1, 1000, .help = "roles that a token may have"},
    {"leeway", SETTING_TIME, AT(leeway_ms), "30s", 0, 300 * SECOND, .help = "how far clocks may be apart"},
    {"lifetime_max", SETTING_LONG_TIME, AT(lifetime_max_ms), "24h", MINUTE, DAYS(366), .help = "the longest time between iat and exp"},
    {"token_use", SETTING_CHOICE, AT(token_use), "any", .choices = TOKEN_USES, .help = "whether token_use=access is demanded"},
};
#undef AT
static const struct setting_table ISSUER_TABLE = TABLE(ISSUER, struct config_issuer);

#define AT(member) .offset = offsetof(struct config_signing, member)
static const struct setting SIGNING[] = {
    {"issuer", TEXT, AT(issuer), .help = "the iss of tokens that `bailiff token issue` makes"},
    {"audience", TEXT, AT(audience), .help = "their aud"},
    {"key", PATH, AT(key), .help = "the private key or secret that signs them"},
};
#undef AT
static const struct setting_table SIGNING_TABLE = TABLE(SIGNING, struct config_signing);

static const struct setting CORS[] = {
    {"origins", SETTING_TEXTS, .offset = offsetof(struct config_cors, origins), .max = 256, .help = "exact origins, such as https://portal.example.com"},
};
static const struct setting_table CORS_TABLE = TABLE(CORS, struct config_cors);

static const struct setting API[] = {
    {"wire", SETTING_CHOICE, .offset = offsetof(struct config_api, wire), .fallback = "documented", .choices = WIRES, .help = "whose answers clients get"},
};
static const struct setting_table API_TABLE = TABLE(API, struct config_api);

static const struct setting AUDIT[] = {
    {"refusals_recorded_a_minute", SETTING_COUNT, .offset = offsetof(struct config_audit, refusals_recorded_a_minute), .fallback = "10", .min = 1, .max = 10000, .help = "refusals recorded singly, by address prefix and reason"},
};
static const struct setting_table AUDIT_TABLE = TABLE(AUDIT, struct config_audit);

#define AT(member) .offset = offsetof(struct config_log, member)
static const struct setting LOG[] = {
    {"format", SETTING_CHOICE, AT(format), "text", .choices = FORMATS, .help = "how log lines look"},
    {"level", SETTING_CHOICE, AT(level), "info", .choices = LEVELS, .help = "what is logged"},
    {"access", SETTING_BOOL, AT(access), "true", .help = "whether each request is logged"},
};
#undef AT
static const struct setting_table LOG_TABLE = TABLE(LOG, struct config_log);

#define AT(member) .offset = offsetof(struct config, member)
static const struct setting ROOT[] = {
    {"server", SETTING_SECTION, AT(server), .section = &SERVER_TABLE, .help = "where and how the server listens"},
    {"limits", SETTING_SECTION, AT(limits), .section = &LIMITS_TABLE, .help = "what one client may take"},
    {"store", SETTING_SECTION, AT(store), .section = &STORE_TABLE, .help = "where everything is kept"},
    {"events", SETTING_SECTION, AT(events), .section = &EVENTS_TABLE, .help = "what streams of events tell"},
    {"application", PATH, AT(application), .required = true, .help = "a Taipy application (.toml) or one in bailiff's own form (.yaml)"},
    {"execution", SETTING_SECTION, AT(execution), .section = &EXECUTION_TABLE, .help = "how users' code runs"},
    {"shutdown", SETTING_SECTION, AT(shutdown), .section = &SHUTDOWN_TABLE, .help = "what becomes of running jobs when the server is stopped"},
    {"policy", SETTING_SECTION, AT(policy), .section = &POLICY_TABLE, .help = "who may do what"},
    {"issuers", SETTING_SECTIONS, AT(issuers), .min = 1, .max = 64, .required = true, .section = &ISSUER_TABLE, .help = "who may issue tokens"},
    {"signing", SETTING_SECTION, AT(signing), .section = &SIGNING_TABLE, .help = "how `bailiff token issue` signs"},
    {"cors", SETTING_SECTION, AT(cors), .section = &CORS_TABLE, .help = "which web pages may call"},
    {"api", SETTING_SECTION, AT(api), .section = &API_TABLE, .help = "how the API looks"},
    {"audit", SETTING_SECTION, AT(audit), .section = &AUDIT_TABLE, .help = "what is recorded"},
    {"log", SETTING_SECTION, AT(log), .section = &LOG_TABLE, .help = "what is logged"},
};
#undef AT
/* clang-format on */
const struct setting_table CONFIG_SCHEMA = TABLE(ROOT, struct config);
