/* Opening and closing the store: the folder's lock, the database, its secret, the end of the audit chain, the writer. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "bailiff/random.h"
#include "store/chain.h"
#include "store/schema.h"

/* ---- opening ---- */

bool store_lock(const char *folder, int *ret_fd, struct fault *fault)
{
    own(freep) char *path = xprintf("%s/lock", folder);
    struct fault cause = {0};

    if (file_lock(path, ret_fd, &cause))
        return true;
    if (cause.kind == FAULT_CONFLICT)
        return fault_set(fault, FAULT_CONFLICT,
                         "%s is in use by another bailiff; stop it, or choose another store.folder.", folder);
    fault_set(fault, cause.kind, "%s", cause.message);
    return fault_detail(fault, "%s", cause.detail);
}

/* SQLite would make the file as readable as the umask lets it; the WAL takes over the mode that it has. */
static bool make_database_file(const char *path, struct fault *fault)
{
    own(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd >= 0 || fault_set(fault, FAULT_INVALID, "Cannot open the database %s: %s.", path, strerror(errno));
}

static bool add_meta_blob(struct database *db, const char *name, const void *data, size_t len, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_META_ADD);

    query_text(&q, name);
    query_blob(&q, data, len);
    return query_run(&q, fault);
}

/* Made once; whoever makes it second keeps the first. */
static bool load_secret(struct database *db, uint8_t ret[static STORE_SECRET_SIZE], struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_META_GET);
    uint8_t fresh[STORE_SECRET_SIZE];

    random_bytes(fresh, sizeof(fresh));
    if (!add_meta_blob(db, "secret", fresh, sizeof(fresh), fault))
        return false;
    query_text(&q, "secret");
    switch (query_step(&q)) {
    case QUERY_ROW:
        break;
    case QUERY_DONE:
        return fault_internal(fault, "the store's secret is missing");
    default:
        return query_fault(&q, fault);
    }
    const void *secret = sqlite3_column_blob(q.statement, 0);
    if (!secret || sqlite3_column_bytes(q.statement, 0) != STORE_SECRET_SIZE)
        return fault_internal(fault, "the store's secret is damaged");
    memcpy(ret, secret, STORE_SECRET_SIZE);
    return true;
}

static bool load_latest_time(struct database *db, int64_t *ret_ms, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_LATEST_TIME);
    bool found;

    *ret_ms = 0;
    return query_number(&q, ret_ms, &found, fault);
}

/* A log that somebody has touched is not continued: whatever came behind it would lend it credit. */
static bool was_touched(const char *path, const struct fault *cause, struct fault *fault)
{
    if (cause->kind == FAULT_INVALID)
        fault_set(fault, FAULT_INVALID, "%s: %s Keep this folder as evidence and put the latest backup in its place.",
                  path, cause->message);
    else
        *fault = *cause;
    return false;
}

static bool prove_audit(struct database *db, const char *path, const char *folder, struct writer_begin *ret,
                        struct fault *fault)
{
    struct fault cause = {0};
    struct seal_key key;
    struct seal seal;

    if (!chain_load_head(db, &ret->head, &cause))
        return was_touched(path, &cause, fault);
    if (!seal_key_read(folder, true, &key, fault) ||
        (!key.found && !seal_key_make(db, folder, &ret->head, &key, fault)))
        return false;
    if (!seal_read(db, &seal, &cause) || !seal_prove(&seal, key.bytes, &ret->head, &cause))
        return was_touched(path, &cause, fault);
    memcpy(ret->audit_key, key.bytes, AUDIT_KEY_SIZE);
    return true;
}

/* A new folder must not be lost with the power; its files are SQLite's business. The parent may not be ours to open. */
static bool make_folder(const char *folder, struct fault *fault)
{
    own(freep) char *parent = xprintf("%s/..", folder);

    if (!folder_make(folder, 0700, fault))
        return false;
    (void)!file_sync_folder(parent, &(struct fault){0});
    return true;
}

/* What is no fault of anybody's but the file's, in words for whoever runs the server. */
static bool cannot_use(const char *path, const struct fault *cause, struct fault *fault)
{
    if (cause->kind == FAULT_INTERNAL)
        fault_set(
            fault, FAULT_INVALID,
            "%s is damaged, was changed by another program, or is no database; put the latest backup in its place.",
            path);
    else if (cause->kind == FAULT_UNAVAILABLE)
        fault_unavailable(fault, cause->retry_after_s, "Cannot use the database %s: %s", path, cause->message);
    else
        fault_set(fault, cause->kind, "%s", cause->message);
    return fault_detail(fault, "%s", cause->detail);
}

static bool open_database(struct store *store, const struct store_options *options, struct database **ret_db,
                          struct writer_begin *ret_begin, struct fault *fault)
{
    own(freep) char *backups = xprintf("%s/backups", options->folder);
    own(database_closep) struct database *db = NULL;
    struct fault cause = {0};

    if (!make_database_file(store->path, &cause) || !database_open(store->path, DATABASE_WRITE, &db, &cause) ||
        !schema_prepare(db, &SCHEMA, store->path, backups, &cause) || !load_secret(db, store->secret, &cause) ||
        !load_latest_time(db, &ret_begin->latest_ms, &cause) ||
        !prove_audit(db, store->path, options->folder, ret_begin, &cause))
        return cannot_use(store->path, &cause, fault);
    *ret_db = give(db);
    return true;
}

static void store_free(struct store *store)
{
    looker_free(store->looker);
    closep(&store->lock_fd);
    free(store->path);
    free(store);
}

static void store_freep(struct store **store)
{
    if (*store)
        store_free(*store);
}

bool store_open(const struct store_options *options, struct store **ret_store, struct fault *fault)
{
    own(store_freep) struct store *store = xcalloc(1, sizeof(*store));
    own(database_closep) struct database *db = NULL;
    struct writer_begin begin;

    store->lock_fd = -1;
    store->path = xprintf("%s/bailiff.db", options->folder);
    if (!make_folder(options->folder, fault) || !store_lock(options->folder, &store->lock_fd, fault) ||
        !open_database(store, options, &db, &begin, fault))
        return false;
    store->looker = looker_new(&(struct looker_options){.log = options->log});
    begin.looker = store->looker;
    if (!writer_start(options, give(db), &begin, &store->writer, fault))
        return false;
    *ret_store = give(store);
    return true;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    writer_stop(store->writer);
    store_free(store);
}

bool store_healthy(struct store *store, struct fault *fault)
{
    return writer_healthy(store->writer, fault);
}

bool store_strained(struct store *store, struct fault *ret_why)
{
    return writer_strained(store->writer, ret_why);
}

size_t store_queue_length(struct store *store)
{
    return writer_queue_length(store->writer);
}

void store_audit_head(struct store *store, struct audit_walk *ret_head)
{
    writer_audit_head(store->writer, ret_head);
}

const uint8_t *store_secret(const struct store *store)
{
    return store->secret;
}

static bool verify_audit(struct database *db, const char *folder, struct chain_proof *ret, struct fault *fault)
{
    struct seal_key key;

    if (!chain_verify(db, ret, fault) || !seal_key_read(folder, false, &key, fault))
        return false;
    return key.found ? seal_prove(&ret->seal, key.bytes, &ret->end, fault) : seal_key_missing(folder, &ret->end, fault);
}

bool store_verify_audit(const char *folder, struct audit_report *ret_report, struct fault *fault)
{
    own(freep) char *path = xprintf("%s/bailiff.db", folder);
    own(database_closep) struct database *db = NULL;
    struct chain_proof proof;
    struct fault cause = {0};

    if (!database_open(path, DATABASE_READ, &db, &cause) || !schema_require(db, &SCHEMA, path, &cause) ||
        !verify_audit(db, folder, &proof, &cause))
        return cannot_use(path, &cause, fault);
    *ret_report =
        (struct audit_report){.records = proof.records, .first_seq = proof.records ? 1 : 0, .last_seq = proof.end.seq};
    hex_encode(proof.end.hash, AUDIT_HASH_SIZE, ret_report->head);
    return true;
}
