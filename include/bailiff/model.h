/* Taipy's entities and the words of authorization, as plain data with pure rules. No I/O, no locks, no HTTP, no SQL.
 *
 * Strings in these structs belong to whoever made them: an arena of the reader, of the change, or of the exchange.
 * Times are wall-clock milliseconds; 0 means "never". */
#ifndef BAILIFF_MODEL_H
#define BAILIFF_MODEL_H

#include "bailiff/controls.h"
#include "bailiff/fault.h"
#include "bailiff/permission.h"
#include "bailiff/random.h"
#include "bailiff/text.h"

/* ---- ids ---- */
enum { CONFIG_ID_MAX = 128, ENTITY_ID_MAX = 200, ENTITY_ID_SIZE = ENTITY_ID_MAX + 1 };
/* Where ids come from; one thread's. Those of a group begin with the same 32 random bits, so that what is created together stands together in
 * indexes: a batch of ids touches one of their pages, not one each. The other 90 bits are each id's own. Zeroed, it is ready but for a group. */
struct id_source {
    struct random_pool pool;
    uint8_t group[4];
};
void id_group_begin(struct id_source *source);
/* "TASK_<config id>_<uuid4>" and its sisters; prefix is "TASK", "JOB", "DATANODE"; a submission has no config id (NULL). */
void entity_id_make(struct id_source *source, const char *prefix, const char *config_id,
                    char out[static ENTITY_ID_SIZE]);
bool entity_id_valid(struct span id); /* [A-Za-z0-9_-]{1,200}: anything else cannot exist */

/* ---- enumerations: X(enum name, wire name) ---- */
#define JOB_STATUSES(X)           \
    X(JOB_SUBMITTED, "SUBMITTED") \
    X(JOB_BLOCKED, "BLOCKED")     \
    X(JOB_PENDING, "PENDING")     \
    X(JOB_RUNNING, "RUNNING")     \
    X(JOB_CANCELED, "CANCELED")   \
    X(JOB_FAILED, "FAILED")       \
    X(JOB_COMPLETED, "COMPLETED") \
    X(JOB_SKIPPED, "SKIPPED")     \
    X(JOB_ABANDONED, "ABANDONED")
#define SUBMISSION_STATUSES(X)           \
    X(SUBMISSION_SUBMITTED, "SUBMITTED") \
    X(SUBMISSION_BLOCKED, "BLOCKED")     \
    X(SUBMISSION_PENDING, "PENDING")     \
    X(SUBMISSION_RUNNING, "RUNNING")     \
    X(SUBMISSION_CANCELED, "CANCELED")   \
    X(SUBMISSION_FAILED, "FAILED")       \
    X(SUBMISSION_COMPLETED, "COMPLETED") \
    X(SUBMISSION_UNDEFINED, "UNDEFINED")
#define SCOPES(X)                 \
    X(SCOPE_SCENARIO, "SCENARIO") \
    X(SCOPE_CYCLE, "CYCLE")       \
    X(SCOPE_GLOBAL, "GLOBAL")
#define STORAGE_TYPES(X)        \
    X(STORAGE_PICKLE, "pickle") \
    X(STORAGE_JSON, "json")     \
    X(STORAGE_CSV, "csv")       \
    X(STORAGE_IN_MEMORY, "in_memory")
#define X(name, wire) name,
enum job_status { JOB_STATUSES(X) JOB_STATUS_COUNT };
enum submission_status { SUBMISSION_STATUSES(X) SUBMISSION_STATUS_COUNT };
enum data_scope { SCOPES(X) SCOPE_COUNT };
enum storage_type { STORAGE_TYPES(X) STORAGE_TYPE_COUNT };
#undef X
const char *job_status_name(enum job_status s);
const char *submission_status_name(enum submission_status s);
const char *data_scope_name(enum data_scope s);
const char *storage_type_name(enum storage_type s);
must_check bool job_status_parse(struct span s, enum job_status *ret);
must_check bool submission_status_parse(struct span s, enum submission_status *ret);
must_check bool data_scope_parse(struct span s, enum data_scope *ret);
must_check bool storage_type_parse(struct span s, enum storage_type *ret);
const char *storage_type_extension(enum storage_type s); /* "p", "json", "csv" */

bool job_status_final(enum job_status s); /* CANCELED, FAILED, COMPLETED, SKIPPED, ABANDONED */
/* The one table of legal transitions: Taipy's, with RUNNING → PENDING for an attempt that the machine lost, that the server's stop
 * interrupted, or that is to be retried. */
bool job_transition_legal(enum job_status from, enum job_status to);
/* A submission's status follows from how many of its jobs are in each status. */
enum submission_status submission_status_of(const unsigned counts[static JOB_STATUS_COUNT]);

/* ---- entities as they are stored ---- */
enum { SUBMITTER_SIZE = 16 };

struct task {
    int64_t seq; /* position in the store: rises with creation; keyset of lists */
    int64_t revision;
    const char *id, *config_id, *owner_id /* NULL: none */, *version;
    const char *function_module, *function_name; /* of a command: "" and its argv[0] */
    struct id_list parent_ids, input_ids, output_ids;
    bool skippable;
    int64_t created_at_ms;
    const char *created_by; /* subject */
};

struct job {
    int64_t seq, revision;
    const char *id, *task_id, *task_config_id, *submission_id, *version, *owner_id;
    enum job_status status;
    bool force, cancel_requested;
    int attempt;      /* 0: not started yet */
    unsigned retries; /* of these attempts: how many failed and were followed by another */
    unsigned losses;  /* and how many were lost with their process */
    int64_t retry_at_ms,
        retry_delay_ms;       /* PENDING: not before; 0: at once. The delay bounds it, should the clock be set */
    struct controls controls; /* as they were when it was submitted */
    int exit_code;            /* valid if exited */
    int signal;               /* valid if signaled */
    bool exited, signaled;
    int64_t created_at_ms, started_at_ms, ended_at_ms, duration_ms;
    const char *worker, *progress, *submitted_by, *stacktrace, *error; /* NULL: none */
    uint8_t submitter[SUBMITTER_SIZE]; /* digest of issuer and subject: whose limit it counts for; zeros: nobody's */
    const char *blocked_by; /* BLOCKED: ids of data nodes, separated by spaces: unwritten, or to be written by
                                          earlier jobs. NULL otherwise */
};

struct submission {
    int64_t seq;
    int64_t revision; /* follows from what of it can change: its status and how many jobs it has */
    const char *id, *entity_id, *entity_type, *entity_config_id, *version, *submitted_by;
    struct id_list job_ids;
    enum submission_status status;
    int64_t created_at_ms;
};

struct data_node {
    int64_t seq, revision;
    const char *id, *config_id, *owner_id, *version, *name;
    enum data_scope scope;
    enum storage_type storage_type;
    struct id_list parent_ids; /* tasks that use it */
    int64_t created_at_ms, last_edit_ms /* 0: never written */, validity_period_ms /* 0: for ever */;
    bool edit_in_progress;  /* an unfinished job will write it */
    const char *editor_id;  /* that job, or NULL */
    const char *file;       /* below the storage folder: the value's immutable file; NULL: none */
    const char *path;       /* a file of the user's own, or NULL */
    const char *properties; /* JSON object */
};

/* ---- the application: what can be created. Immutable once loaded. ---- */
struct data_node_config {
    const char *id;
    enum data_scope scope;
    enum storage_type storage_type;
    const char *default_file; /* name below the folder of defaults (as loaded) or below storage (once stored); NULL */
    const char *path;         /* absolute, or NULL */
    int64_t validity_period_ms;
    const char *properties; /* JSON object text */
    size_t line;            /* in the application's file; 0: unknown */
};
struct task_config {
    const char *id;
    const char *module, *function; /* both NULL for a command */
    struct id_list command;        /* empty for a function */
    struct id_list environment;    /* NAME=value */
    const struct data_node_config **inputs, **outputs;
    size_t input_count, output_count;
    bool skippable;
    struct controls controls;
    unsigned concurrency;  /* attempts of it at once; 0: no limit of its own */
    enum data_scope scope; /* the narrowest of its data nodes'; GLOBAL without any */
};
struct sequence_config {
    const char *name;
    struct id_list tasks;
};
struct scenario_config {
    const char *id;
    struct id_list tasks, additional_data_nodes;
    const char *frequency; /* or NULL */
    struct sequence_config *sequences;
    size_t sequence_count;
};
struct manifest {
    struct arena arena; /* owns everything below */
    const char *version, *root;
    unsigned workers; /* 0: not said */
    struct data_node_config *data_nodes;
    struct task_config *tasks;
    struct scenario_config *scenarios;
    size_t data_node_count, task_count, scenario_count;
};
struct manifest *manifest_new(void);
void manifest_free(struct manifest *m);
static inline void manifest_freep(struct manifest **m)
{
    manifest_free(*m);
}
const struct task_config *manifest_task(const struct manifest *m, const char *config_id); /* NULL: unknown */
const struct data_node_config *manifest_data_node(const struct manifest *m, const char *config_id);
/* Reads and checks a manifest (format: src/jobs/PROTOCOL.md). It comes from a process that may be hostile: every member is checked,
 * names of defaults cannot leave their folder, the graph must be acyclic. */
must_check bool manifest_read(struct span json, struct manifest **ret, struct fault *fault);

/* ---- certificates of clients ---- */
enum { CERTIFICATE_DIGEST_SIZE = 32, CERTIFICATE_NAME_MAX = 256 };
/* The certificate whose key a client has proved to hold, as its listener verified it. Immutable; belongs to the connection. */
struct certificate {
    uint8_t digest[CERTIFICATE_DIGEST_SIZE];           /* SHA-256 of its DER form */
    char fingerprint[2 * CERTIFICATE_DIGEST_SIZE + 1]; /* that in hex, for people and logs */
    char thumbprint[44];                               /* that in base64url: x5t#S256 (RFC 8705 §3.1) */
    /* RFC 4514, all in printable ASCII and at most CERTIFICATE_NAME_MAX bytes; a subject without a name shows its first
     * alternative name instead. */
    char *subject, *issuer;
    char *serial; /* hex */
    int64_t not_before_s, not_after_s;
};

/* How a caller has proved who it is; each is more than the one before. */
#define PROOFS(X)                                                                             \
    X(PROOF_TOKEN, "token")                         /* it has a token */                      \
    X(PROOF_CERTIFICATE, "client_certificate")      /* and the key of a client certificate */ \
    X(PROOF_BOUND_TOKEN, "certificate_bound_token") /* and the token is good only with that */
#define X(name, wire) name,
enum proof { PROOFS(X) PROOF_COUNT };
#undef X
const char *proof_name(enum proof p);
must_check bool proof_parse(struct span s, enum proof *ret);

/* ---- identity, decision, scope ---- */
struct identity { /* immutable, counted; any thread */
    unsigned references;
    char *issuer, *subject;
    char *token_id; /* jti, or NULL */
    char *client;   /* azp or client_id, or NULL */
    int64_t issued_at_s, expires_at_s;
    int64_t good_until_s; /* expires_at_s and the issuer's leeway */
    char **roles;         /* ours, after mapping; sorted, no duplicates */
    size_t role_count;
    bool bound; /* the token is good only together with the client certificate of this digest (RFC 8705 §3) */
    uint8_t bound_to[CERTIFICATE_DIGEST_SIZE];
};
struct identity *identity_ref(struct identity *i);
void identity_unref(struct identity *i); /* NULL ok */
/* certificate: the connection's, or NULL. A bound token that came this far was compared with it. */
enum proof proof_of(const struct identity *identity, const struct certificate *certificate);

/* What is revoked: every token that fits all that is set. Either the issuer or issued_before_s is. */
struct revocation {
    int64_t seq; /* position in the store */
    const char *id;
    const char *issuer, *token_id,
        *subject;            /* NULL: any; token_id and subject exclude each other, and need an issuer */
    int64_t issued_before_s; /* tokens whose iat is earlier, or missing; 0: whenever they were issued */
    int64_t created_at_ms;
    const char *created_by, *reason; /* reason: NULL: none */
};

struct decision {
    bool allowed;
    enum permission permission;
    char id[37];        /* UUIDv7: stands in the audit record; only made for refusals and changes */
    const char *reason; /* static: "granted", "no role grants it", "public" … */
    const char *role;   /* the role that granted it, or would with `wanting`; belongs to the policy snapshot; or NULL */
    enum proof wanting; /* of a refusal: what the caller's role demands besides the token; PROOF_TOKEN: nothing */
};

/* What of the store a caller may see and touch. Every read and every change takes one. Today it is everything or nothing; queries ask it. */
struct scope {
    bool everything;
};
bool scope_allows(const struct scope *scope, const char *owner_id);

/* ---- what an audit record will say; the writer adds sequence, time, outcome and hashes ---- */
struct audit_draft {
    const char *action; /* "task.create", "job.cancel", "request.refuse", "server.start" … */
    const char *target; /* id of what it was done to, or NULL */
    const char *issuer, *subject, *token_id, *roles /* space-separated */;
    const char *address; /* client */
    const char *request_id, *client_request_id, *method, *path;
    const char *permission, *decision_id, *reason;
    const char *detail;                                                 /* JSON object or NULL */
    const char *certificate /* SHA-256 in hex */, *certificate_subject; /* the client's; NULL: it had none */
    int status;     /* HTTP status answered, where there is one; 0 otherwise */
    uint64_t count; /* of a counted record; 1 otherwise (0 is read as 1) */
};

#endif
