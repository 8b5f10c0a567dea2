/* Strict reading of HTTP/1 request heads (RFC 9112). Pure: bytes in, verdict out.
 *
 * Whatever two readers of one connection could understand differently is refused: this is what keeps a proxy in front and us
 * of one mind about where a request ends. */
#ifndef BAILIFF_SERVER_HEAD_H
#define BAILIFF_SERVER_HEAD_H

#include "bailiff/text.h"

enum { HEAD_SIZE_MAX = 16384, HEAD_FIELDS_MAX = 64, HEAD_METHOD_MAX = 32 };

struct head_field {
    struct span name, value; /* value without blanks around it */
};

struct head {
    size_t len; /* of the whole head, its empty line included */
    struct span method, target;
    int minor_version; /* HTTP/1.x */
    struct head_field fields[HEAD_FIELDS_MAX];
    size_t field_count;
    bool chunked, has_length;
    uint64_t content_length;
    /* ---- when refused ---- */
    int status;         /* to answer with; the connection is closed afterwards */
    const char *reason; /* static, one sentence */
};

enum head_verdict { HEAD_MORE, HEAD_OK, HEAD_REFUSED };

/* Reads the head at the start of buf. seen: how many of its bytes an earlier call answered MORE to (they are not judged
 * twice, so that a head sent byte by byte costs no more than one sent whole). A bad byte is refused as soon as it is there. */
enum head_verdict head_read(const char *buf, size_t len, size_t seen, uint64_t body_max, struct head *head);

/* The same rules piecewise, for requests that arrive decoded (HTTP/2). */
bool head_method_valid(struct span s);
bool head_method_known(struct span s);                          /* by any route: http.h has the list */
bool head_target_valid(struct span method, struct span target); /* origin-form, or "*" for OPTIONS */
bool head_name_valid(struct span s);
bool head_value_valid(struct span s);
bool head_host_valid(struct span s);

#endif
