/* Answers kept for their Idempotency-Key. */
#ifndef BAILIFF_STORE_ANSWERS_H
#define BAILIFF_STORE_ANSWERS_H

#include "bailiff/store.h"
#include "store/database.h"

/* *ret_found is false for a key that is unknown or whose answer is older than ttl_s. */
must_check bool answer_find(struct database *db, const uint8_t key[static 32], int64_t now_ms, unsigned ttl_s,
                            struct arena *arena, uint8_t ret_request[static 32], struct stored_answer *ret_answer,
                            bool *ret_found, struct fault *fault);

#endif
