/* Which refusals are recorded singly. */
#ifndef BAILIFF_MIDDLEWARE_REFUSALS_H
#define BAILIFF_MIDDLEWARE_REFUSALS_H

#include "bailiff/middleware.h"

/* True: write a record of its own. False: it has been counted. Any thread. */
bool refusal_ledger_record(struct refusal_ledger *l, const char *address, const char *reason, unsigned singly_a_minute);

#endif
