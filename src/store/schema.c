#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "store/schema.h"

struct layout { /* what the file says about itself */
    int64_t application_id, version, tables;
};

static bool schema_look(struct database *db, struct layout *ret, struct fault *fault)
{
    return database_number(db, "PRAGMA application_id", &ret->application_id, fault) &&
           database_number(db, "PRAGMA user_version", &ret->version, fault) &&
           database_number(db, "SELECT count(*) FROM sqlite_schema", &ret->tables, fault);
}

/* Tells a new database (ret_version 0) from ours and from what must be left alone. */
static bool schema_judge(const struct layout *layout, int known, const char *path, struct fault *fault)
{
    bool fresh = layout->application_id == 0 && layout->version == 0 && layout->tables == 0;

    if (fresh)
        return true;
    if (layout->application_id != SCHEMA_APPLICATION_ID || layout->version < 1)
        return fault_set(fault, FAULT_INVALID, "%s is a database, but not bailiff's; choose another store.folder.",
                         path);
    if (layout->version > known)
        return fault_set(
            fault, FAULT_INVALID,
            "%s was written by a newer bailiff (layout %lld; this one knows up to %d); start that version, "
            "or put a backup of layout %d in its place.",
            path, (long long)layout->version, known, known);
    return true;
}

static bool sync_file(const char *path, struct fault *fault)
{
    own(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || fsync(fd) < 0)
        return fault_unavailable(fault, 10, "Cannot make the backup %s durable: %s.", path, strerror(errno));
    return true;
}

/* The backup is made empty first, so that nobody else can read it from its first byte on. */
static bool backup_write(struct database *db, const char *path, struct fault *fault)
{
    own(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    sqlite3_stmt *statement = NULL;
    int rc;

    if (fd < 0)
        return fault_set(fault, FAULT_INVALID, "Cannot make the backup %s: %s.", path, strerror(errno));
    rc = sqlite3_prepare_v2(db->handle, "VACUUM INTO ?1", -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE)
        database_fault(db, rc, fault);
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE && sync_file(path, fault);
}

static bool schema_backup(struct database *db, int64_t version, const char *folder, struct fault *fault)
{
    own(freep) char *path =
        xprintf("%s/bailiff-layout-%lld-%lld.db", folder, (long long)version, (long long)clock_wall_ms());

    if (!folder_make(folder, 0700, fault))
        return false;
    if (!backup_write(db, path, fault)) {
        unlink(path);
        return false;
    }
    return file_sync_folder(folder, fault);
}

/* References are not enforced while tables are rebuilt, so they are checked as a whole before the commit. */
static bool references_hold(struct database *db, struct fault *fault)
{
    int64_t broken = 0;

    if (!database_number(db, "SELECT count(*) FROM pragma_foreign_key_check", &broken, fault))
        return false;
    return broken == 0 || fault_internal(fault, "%lld broken references after the migration", (long long)broken);
}

static bool migrate(struct database *db, const struct migrations *migrations, int64_t from, struct fault *fault)
{
    char pragmas[96];

    for (int64_t i = from; i < migrations->count; i++)
        if (!database_exec(db, migrations->sql[i], fault))
            return false;
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d;", SCHEMA_APPLICATION_ID,
             migrations->count);
    return database_exec(db, pragmas, fault) && references_hold(db, fault) && database_exec(db, "COMMIT", fault);
}

static bool schema_migrate(struct database *db, const struct migrations *migrations, int64_t from, const char *path,
                           struct fault *fault)
{
    struct fault cause = {0};

    if (database_exec(db, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE", &cause) &&
        migrate(db, migrations, from, &cause))
        return true;
    if (!sqlite3_get_autocommit(db->handle))
        (void)!database_exec(db, "ROLLBACK", &(struct fault){0}); /* the cause is told already */
    fault_set(fault, cause.kind, "%s could not be brought to layout %d and was left as it was: %s", path,
              migrations->count, cause.message);
    return fault_detail(fault, "%s", cause.detail);
}

bool schema_prepare(struct database *db, const struct migrations *migrations, const char *path,
                    const char *backup_folder, struct fault *fault)
{
    struct layout layout = {0};

    if (!schema_look(db, &layout, fault) || !schema_judge(&layout, migrations->count, path, fault))
        return false;
    if (!database_exec(db,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "PRAGMA journal_size_limit = 16777216;",
                       fault))
        return false;
    if (layout.version > 0 && layout.version < migrations->count &&
        !schema_backup(db, layout.version, backup_folder, fault))
        return false;
    if (layout.version < migrations->count && !schema_migrate(db, migrations, layout.version, path, fault))
        return false;
    return database_exec(db, "PRAGMA foreign_keys = ON", fault);
}

bool schema_require(struct database *db, const struct migrations *migrations, const char *path, struct fault *fault)
{
    struct layout layout = {0};

    if (!schema_look(db, &layout, fault) || !schema_judge(&layout, migrations->count, path, fault))
        return false;
    if (layout.version < migrations->count)
        return fault_set(fault, FAULT_INVALID,
                         "%s has layout %lld; start this version's server once to bring it to layout %d.", path,
                         (long long)layout.version, migrations->count);
    return true;
}
