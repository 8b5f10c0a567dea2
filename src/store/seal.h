/* The seal of the audit log's end: its key in a file beside the database, its row inside. The row moves with the records, in the
 * same transaction; so a log whose end was cut off, or that was computed anew, is found out. */
#ifndef BAILIFF_STORE_SEAL_H
#define BAILIFF_STORE_SEAL_H

#include "bailiff/audit.h"
#include "store/database.h"

struct seal_key {
    bool found;
    uint8_t bytes[AUDIT_KEY_SIZE];
};
/* `ours`: the key must belong to this user (or root); without it root may look at another user's. */
must_check bool seal_key_read(const char *folder, bool ours, struct seal_key *ret, struct fault *fault);
/* For a new database only: with records, or a seal of such, a key that is missing was taken away. */
must_check bool seal_key_make(struct database *db, const char *folder, const struct audit_walk *end,
                              struct seal_key *ret, struct fault *fault);
/* Nobody can tell whether the end was cut off. Always false. */
bool seal_key_missing(const char *folder, const struct audit_walk *end, struct fault *fault);

struct seal { /* as it is stored */
    bool found;
    struct audit_walk end;
    uint8_t mac[AUDIT_SEAL_SIZE];
};
must_check bool seal_read(struct database *db, struct seal *ret, struct fault *fault);
must_check bool seal_write(struct database *db, const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *end,
                           struct fault *fault);
must_check bool seal_prove(const struct seal *seal, const uint8_t key[static AUDIT_KEY_SIZE],
                           const struct audit_walk *found, struct fault *fault);

#endif
