/* Plain text: what a name in a token or in the configuration may consist of. Pure. */
#ifndef AUTH_PLAIN_H
#define AUTH_PLAIN_H

#include "bailiff/text.h"

enum {
    NAME_MAX_BYTES = 256, /* sub, jti, kid, client_id */
    URL_MAX_BYTES = 1024, /* iss, aud */
    ROLE_MAX_BYTES = 128, /* a role of ours */
};

/* UTF-8 of 1 … max bytes without control characters (C0, DEL, C1): it will stand in logs and audit records. */
bool plain_text(const char *s, size_t max);
/* An absolute https address of at most URL_MAX_BYTES: a host, no user, no fragment, nothing but visible ASCII. */
bool plain_https_url(const char *s);
bool plain_role(const char *s); /* visible ASCII: records list roles with spaces between them */

#endif
