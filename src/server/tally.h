/* How many of something each client has at this moment: connections of an address prefix, streams of a subject. Any thread.
 *
 * A client has an entry only while it has something, so the table is as small as what it counts. */
#ifndef BAILIFF_SERVER_TALLY_H
#define BAILIFF_SERVER_TALLY_H

#include "bailiff/common.h"

enum { TALLY_KEY_SIZE = 16 };

struct tally;
struct tally *tally_new(unsigned max_each /* 0: no limit, and nothing is counted */);
void tally_free(struct tally *t); /* NULL ok */
/* One more; false: it has its share already. A true answer must be given back. */
must_check bool tally_take(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE]);
void tally_give_back(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE]);
size_t tally_keys(struct tally *t); /* with something */

#endif
