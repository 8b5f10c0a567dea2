/* How much of something each client has at this moment: connections or bytes of bodies of an address prefix, streams of a subject. Any
 * thread.
 *
 * A client has an entry only while it has something, so the table is as small as what it counts. */
#ifndef BAILIFF_SERVER_TALLY_H
#define BAILIFF_SERVER_TALLY_H

#include "bailiff/common.h"

enum { TALLY_KEY_SIZE = 16 };

struct tally;
struct tally *tally_new(uint64_t max_each /* 0: no limit, and nothing is counted */);
void tally_free(struct tally *t); /* NULL ok */
/* So much more; false: it would have more than its share. After a true answer all of it must be given back, at once or in pieces. */
must_check bool tally_take(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE], uint64_t amount);
void tally_give_back(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE], uint64_t amount);
size_t tally_keys(struct tally *t); /* with something */

#endif
