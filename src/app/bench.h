/* What each loop thread has of its own: its reader, its verified tokens, its pin on the current policy and keys. */
#ifndef APP_BENCH_H
#define APP_BENCH_H

#include "bailiff/services.h"

/* For struct server_options. On the loop's thread. */
struct bench *bench_new(const struct services *services, struct fault *fault);
void bench_free(struct bench *bench);
void bench_turn_end(struct bench *bench);

#endif
