/* Refusals on their way into the audit log. */
#ifndef BAILIFF_MIDDLEWARE_REFUSALS_H
#define BAILIFF_MIDDLEWARE_REFUSALS_H

#include "bailiff/middleware.h"

/* Notes that x is refused, for a short stable reason. The first few a minute of one caller (a subject, or else an address prefix) and reason
 * get a record of their own (x->refused_singly), the rest is counted; audit_leave writes it. */
void refusal_note(struct exchange *x, const char *reason);

#endif
