/* The audit log's rows: proving the end at start and the whole on demand. Appending is txn_audit. */
#ifndef BAILIFF_STORE_CHAIN_H
#define BAILIFF_STORE_CHAIN_H

#include "bailiff/store.h"
#include "store/database.h"
#include "store/seal.h"

enum {
    CHAIN_TAIL_RECORDS = 1000, /* proved at every start: a log that was touched is not continued silently */
    CHAIN_PAGE_RECORDS = 1000, /* read at once by a verification, so that it never holds the WAL for long */
};

must_check bool chain_load_head(struct database *db, struct audit_walk *ret_head, struct fault *fault);

struct chain_proof { /* what a walk over the whole chain found */
    int64_t records;
    struct audit_walk end;
    struct seal seal; /* as it stood when the end was read */
};
must_check bool chain_verify(struct database *db, struct chain_proof *ret, struct fault *fault);

#endif
