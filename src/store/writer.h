/* The one thread that writes. It drains the queue into one transaction, commits, and only then tells anybody. */
#ifndef BAILIFF_STORE_WRITER_H
#define BAILIFF_STORE_WRITER_H

#include "bailiff/store.h"
#include "store/database.h"
#include "store/looker.h"

struct writer;

struct writer_begin { /* where the database stands */
    struct audit_walk head;
    uint8_t audit_key[AUDIT_KEY_SIZE];
    int64_t latest_ms;
    struct looker *looker; /* outlives the writer */
};
/* Takes the connection over. */
must_check bool writer_start(const struct store_options *options, struct database *db, const struct writer_begin *begin,
                             struct writer **ret_writer, struct fault *fault);
void writer_stop(struct writer *writer); /* finishes what is queued, checkpoints; NULL ok */

must_check bool writer_put(struct writer *writer, struct change *first,
                           struct fault *fault); /* all that are linked, or none */
size_t writer_queue_length(struct writer *writer);
void writer_audit_head(struct writer *writer, struct audit_walk *ret_head);
must_check bool writer_healthy(struct writer *writer, struct fault *fault);
must_check bool writer_strained(struct writer *writer, struct fault *ret_why);
unsigned writer_idempotency_ttl_s(const struct writer *writer);

#endif
