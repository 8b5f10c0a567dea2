/* The one thread that writes. It drains the queue into one transaction, commits, and only then tells anybody. */
#ifndef BAILIFF_STORE_WRITER_H
#define BAILIFF_STORE_WRITER_H

#include "bailiff/store.h"
#include "store/database.h"

struct writer;

/* Takes the connection over. head and latest_ms are where the audit chain and the time stand. */
must_check bool writer_start(const struct store_options *options, struct database *db, const struct audit_walk *head,
                             int64_t latest_ms, struct writer **ret_writer, struct fault *fault);
void writer_stop(struct writer *writer); /* finishes what is queued, checkpoints; NULL ok */

must_check bool writer_put(struct writer *writer, struct change *change, struct fault *fault);
size_t writer_queue_length(struct writer *writer);
must_check bool writer_healthy(struct writer *writer, struct fault *fault);
unsigned writer_idempotency_ttl_s(const struct writer *writer);

#endif
