#include "store/seal.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "bailiff/random.h"

static const char SEAL_ROW[] = "audit_seal";
enum { SEAL_ROW_SIZE = 8 + AUDIT_HASH_SIZE + AUDIT_SEAL_SIZE }; /* seq (big-endian), hash, HMAC */

/* ---- the key ---- */

static char *key_path(const char *folder)
{
    return xprintf("%s/audit.key", folder);
}

bool seal_key_read(const char *folder, bool ours, struct seal_key *ret, struct fault *fault)
{
    own(freep) char *path = key_path(folder);
    own(text_done) struct text content = {0};
    struct stat st;

    if (lstat(path, &st) < 0 && errno == ENOENT) {
        *ret = (struct seal_key){.found = false};
        return true;
    }
    if (ours || geteuid() != 0 ? !file_read_secret(path, AUDIT_KEY_SIZE, &content, fault)
                               : !file_read_trusted(path, AUDIT_KEY_SIZE, &content, fault))
        return false;
    if (content.len != AUDIT_KEY_SIZE)
        return fault_set(fault, FAULT_INVALID, "%s is damaged: it must hold %d bytes; put it back from its backup.",
                         path, AUDIT_KEY_SIZE);
    ret->found = true;
    memcpy(ret->bytes, content.data, AUDIT_KEY_SIZE);
    explicit_bzero(content.data, content.len);
    return true;
}

bool seal_key_missing(const char *folder, const struct audit_walk *end, struct fault *fault)
{
    return fault_set(
        fault, FAULT_INVALID,
        "%s/audit.key is missing: nobody can tell whether the audit log, which ends with record %lld, was cut "
        "off. Put the key back from its backup; if it is lost, keep this folder as evidence and choose "
        "another store.folder.",
        folder, (long long)end->seq);
}

/* First the seal, then the key: after a crash between them there is no key yet, and both are made again. */
bool seal_key_make(struct database *db, const char *folder, const struct audit_walk *end, struct seal_key *ret,
                   struct fault *fault)
{
    own(freep) char *path = key_path(folder);
    struct seal_key key = {.found = true};
    struct seal seal;

    if (!seal_read(db, &seal, fault))
        return false;
    if (end->seq > 0 || (seal.found && seal.end.seq > 0))
        return seal_key_missing(folder, end, fault);
    random_bytes(key.bytes, sizeof(key.bytes));
    if (!seal_write(db, key.bytes, end, fault) || !file_write_durable(path, key.bytes, sizeof(key.bytes), 0600, fault))
        return false;
    *ret = key;
    return true;
}

/* ---- the row ---- */

static int64_t be64_read(const uint8_t *p)
{
    uint64_t n = 0;

    for (size_t i = 0; i < 8; i++)
        n = n << 8 | p[i];
    return (int64_t)n;
}

static void be64_write(uint8_t *p, int64_t n)
{
    for (size_t i = 0; i < 8; i++)
        p[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
}

bool seal_read(struct database *db, struct seal *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_META_GET);
    struct seal seal = {.found = true};

    query_text(&q, SEAL_ROW);
    switch (query_step(&q)) {
    case QUERY_ROW:
        break;
    case QUERY_DONE:
        *ret = (struct seal){.found = false};
        return true;
    default:
        return query_fault(&q, fault);
    }
    const uint8_t *row = sqlite3_column_blob(q.statement, 0);
    if (!row || sqlite3_column_bytes(q.statement, 0) != SEAL_ROW_SIZE)
        return fault_set(fault, FAULT_INVALID,
                         "The seal of the audit log's end is forged: it is not one that bailiff writes.");
    seal.end.seq = be64_read(row);
    memcpy(seal.end.hash, row + 8, AUDIT_HASH_SIZE);
    memcpy(seal.mac, row + 8 + AUDIT_HASH_SIZE, AUDIT_SEAL_SIZE);
    *ret = seal;
    return true;
}

bool seal_write(struct database *db, const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *end,
                struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_META_SET);
    uint8_t row[SEAL_ROW_SIZE];

    be64_write(row, end->seq);
    memcpy(row + 8, end->hash, AUDIT_HASH_SIZE);
    if (!audit_seal(key, end, row + 8 + AUDIT_HASH_SIZE, fault))
        return false;
    query_text(&q, SEAL_ROW);
    query_blob(&q, row, sizeof(row));
    return query_run(&q, fault);
}

bool seal_prove(const struct seal *seal, const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *found,
                struct fault *fault)
{
    if (!seal->found)
        return fault_set(fault, FAULT_INVALID,
                         "The seal of the audit log's end is missing: it was removed, or this is another database than "
                         "the one that audit.key was made with.");
    return audit_seal_prove(key, &seal->end, seal->mac, found, fault);
}
