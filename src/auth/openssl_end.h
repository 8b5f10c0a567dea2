/* OpenSSL's errors, of which none is left behind for TLS to stumble over. */
#ifndef BAILIFF_AUTH_OPENSSL_END_H
#define BAILIFF_AUTH_OPENSSL_END_H

#include "bailiff/fault.h"

/* Empties this thread's queue of errors. True: one of them was that memory is short. */
bool openssl_drop_errors(void);
/* Ends a piece of work with OpenSSL and returns ok. If it failed because memory is short, the fault says that, and no longer that a key
 * or a file is wrong. */
must_check bool openssl_end(bool ok, struct fault *fault);

#endif
