/* A loop's read-only connection. One thread. */
#ifndef BAILIFF_STORE_READER_H
#define BAILIFF_STORE_READER_H

#include "bailiff/store.h"
#include "store/database.h"

struct store_reader {
    struct database *db;
    bool in_turn; /* the turn's read transaction is open */
    unsigned idempotency_ttl_s;
};

/* Before every read: opens the turn's transaction if this is its first. */
must_check bool reader_enter(struct store_reader *reader, struct fault *fault);

#endif
