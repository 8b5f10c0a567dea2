/* The database's layout: an ordered table of migrations. Number n brings a database of version n - 1 to version n; the
 * first one makes a new database. A migration that was released is never changed again. */
#ifndef BAILIFF_STORE_SCHEMA_H
#define BAILIFF_STORE_SCHEMA_H

#include "store/database.h"

struct migrations {
    const char *const *sql;
    int count; /* the version that this program knows */
};
extern const struct migrations SCHEMA;

enum { SCHEMA_APPLICATION_ID = 0x6261696c }; /* "bail" in the file's head */

/* Makes a new database, leaves a current one alone, backs up and migrates an older one; refuses a newer or a foreign one.
 * `path` names the database in messages; backups go to `backup_folder`. */
must_check bool schema_prepare(struct database *db, const struct migrations *migrations, const char *path,
                               const char *backup_folder, struct fault *fault);
/* For reading only: the database must be ours and of the version that this program knows. */
must_check bool schema_require(struct database *db, const struct migrations *migrations, const char *path,
                               struct fault *fault);

#endif
