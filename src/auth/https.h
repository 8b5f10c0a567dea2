/* One HTTPS exchange over libcurl, as narrow as we need it: TLS 1.2 or later, verified; HTTP/1.1; no redirect; a new connection
 * each time; nothing taken from the environment; limits of time and size. */
#ifndef AUTH_HTTPS_H
#define AUTH_HTTPS_H

#include <curl/curl.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

enum { HTTPS_BODY_MAX = 1 << 20, HTTPS_HEAD_MAX = 1 << 16, HTTPS_CONNECT_MS = 5000, HTTPS_TIMEOUT_MS = 10000 };

struct https_target {
    const char *url;
    const char *ca_file; /* these CAs alone; NULL: the system's */
    const char *proxy;   /* NULL: none */
};

/* A transfer. It must not move while it is under way. */
struct https {
    CURL *easy;
    struct curl_slist *fields;
    struct text body;
    size_t head; /* bytes of it so far */
    bool too_large;
    int64_t max_age_s; /* Cache-Control; -1: it does not say; 0: not to be kept */
    char error[CURL_ERROR_SIZE];
};
/* TLS 1.2 or later, verified by these CAs alone; NULL: by the system's. */
must_check bool https_secure(CURL *easy, const char *ca_file);
/* Prepares a GET. */
must_check bool https_init(struct https *h, const struct https_target *target, struct fault *fault);
void https_done(struct https *h);
/* What came of it: the status, or UNAVAILABLE with a sentence that names no secret. */
must_check bool https_judge(const struct https *h, CURLcode code, int *ret_status, struct fault *fault);

#endif
