/* HTTPS. */
#include "auth/https.h"

void https_done(struct https *h)
{
    curl_easy_cleanup(h->easy);
    curl_slist_free_all(h->fields);
    text_done(&h->body);
    *h = (struct https){0};
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct https *h = arg;
    size_t len = size * count;

    if (len > HTTPS_BODY_MAX - h->body.len) {
        h->too_large = true;
        return 0; /* ends the transfer */
    }
    text_append(&h->body, data, len);
    return len;
}

/* Cache-Control (RFC 9111 §5.2): what says least is believed. */
static void read_cache_control(struct https *h, struct span value)
{
    struct span directive;
    uint64_t seconds;

    while (span_cut(&value, ',', &directive)) {
        struct span argument = span_trim(directive), name;
        if (!span_cut(&argument, '=', &name))
            continue;
        if (span_ieq(name, SPAN("no-store")) || span_ieq(name, SPAN("no-cache")))
            h->max_age_s = 0;
        else if (span_ieq(name, SPAN("max-age")) && span_to_u64(argument, UINT32_MAX, &seconds) &&
                 (h->max_age_s < 0 || (int64_t)seconds < h->max_age_s))
            h->max_age_s = (int64_t)seconds;
    }
}

static size_t take_header(char *data, size_t size, size_t count, void *arg)
{
    struct https *h = arg;
    struct span line = {data, size * count}, name;

    h->head += line.len;
    if (h->head > HTTPS_HEAD_MAX) {
        h->too_large = true;
        return 0;
    }
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (span_cut(&line, ':', &name) && span_ieq(name, SPAN("Cache-Control")))
        read_cache_control(h, span_trim(line));
    return size * count;
}

bool https_secure(CURL *easy, const char *ca_file)
{
    bool ok = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;

    if (ok && ca_file)
        ok = curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    return ok;
}

static bool set_tls(CURL *easy, const struct https_target *target)
{
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK && https_secure(easy, target->ca_file);
}

static bool set_limits(struct https *h, const struct https_target *target)
{
    CURL *easy = h->easy;

    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPS_CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)HTTPS_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)HTTPS_BODY_MAX) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, target->proxy ? target->proxy : "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
}

bool https_init(struct https *h, const struct https_target *target, struct fault *fault)
{
    own(https_done) struct https made = {.max_age_s = -1};

    made.easy = curl_easy_init();
    made.fields = curl_slist_append(NULL, "Accept: application/json");
    if (!made.easy || !made.fields || curl_easy_setopt(made.easy, CURLOPT_URL, target->url) != CURLE_OK ||
        !set_tls(made.easy, target) || !set_limits(&made, target) ||
        curl_easy_setopt(made.easy, CURLOPT_USERAGENT, "bailiff/" BAILIFF_VERSION) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_HTTPHEADER, made.fields) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_WRITEFUNCTION, take_body) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_HEADERFUNCTION, take_header) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_WRITEDATA, h) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_HEADERDATA, h) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_ERRORBUFFER, h->error) != CURLE_OK ||
        curl_easy_setopt(made.easy, CURLOPT_PRIVATE, h) != CURLE_OK)
        return fault_internal(fault, "libcurl cannot prepare a request to %s", target->url);
    *h = made;
    made = (struct https){0};
    return true;
}

bool https_judge(const struct https *h, CURLcode code, int *ret_status, struct fault *fault)
{
    long status = 0;

    if (h->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return fault_unavailable(fault, 0, "the answer is larger than %d bytes", HTTPS_BODY_MAX);
    if (code != CURLE_OK)
        return fault_unavailable(fault, 0, "%s", h->error[0] ? h->error : curl_easy_strerror(code));
    if (curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        return fault_internal(fault, "libcurl does not say the status of an answer");
    *ret_status = (int)status;
    return true;
}
