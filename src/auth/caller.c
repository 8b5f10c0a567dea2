/* Requests to a server's API, over libcurl. */
#include "bailiff/caller.h"

#include <arpa/inet.h>

#include "auth/https.h"
#include "bailiff/clock.h"

enum { CONNECT_MS = 10000, TIMEOUT_MS = 30000, HEAD_MAX = 1 << 16 };

struct caller {
    CURL *easy; /* kept: its connection is used again */
    struct curl_slist *fields;
    char *origin;      /* what a path is put behind */
    char *socket_path; /* NULL: TCP */
    char *ca_file, *certificate, *key, *bearer;
    char error[CURL_ERROR_SIZE];
    /* of the request under way */
    const struct caller_request *request;
    struct caller_answer answer;
    size_t body_max;
    int64_t heard_ms; /* when something came last; monotonic */
    bool too_large, stopped;
};

/* ---- addresses ---- */
static bool host_is_loopback(const char *host)
{
    struct in_addr v4;

    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static void url_cleanupp(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void curl_freep(char **s)
{
    curl_free(*s);
}

static bool has_part(CURLU *url, CURLUPart part)
{
    own(curl_freep) char *value = NULL;

    return curl_url_get(url, part, &value, 0) == CURLUE_OK;
}

/* As it is copied from a description of the API. */
static bool names_the_api(const char *text)
{
    static const char API[] = "/api/v1";
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        len--;
    return len >= strlen(API) && strncmp(text + len - strlen(API), API, strlen(API)) == 0;
}

const char *caller_url_fault(const char *text)
{
    own(url_cleanupp) CURLU *url = curl_url();
    own(curl_freep) char *scheme = NULL, *host = NULL;

    if (strlen(text) > CALLER_URL_MAX || !text_is_visible_ascii(span_of(text)))
        return "it is too long, or has a blank or an odd character";
    if (strncmp(text, "unix:", 5) == 0)
        return text[5] == '/' && text[6] ? NULL : "behind unix: stands the absolute path of a socket";
    if (!url || curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return "it is no address such as https://bailiff.example.com:8443";
    if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT) || strpbrk(text, "?#"))
        return "it has a query or a fragment; leave that out";
    if (names_the_api(text))
        return "it ends with /api/v1, which is added to it; leave that out";
    if (strcmp(scheme, "https") == 0)
        return NULL;
    if (strcmp(scheme, "http") != 0)
        return "it does not begin with https://";
    return host_is_loopback(host) ? NULL : "without TLS (http://) only this very machine is called; use https://";
}

/* ---- what comes ---- */
static bool add_body(struct caller *c, const char *data, size_t len)
{
    if (len > c->body_max - c->answer.body.len) {
        c->too_large = true;
        return false;
    }
    text_append(&c->answer.body, data, len);
    return true;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct caller *c = arg;
    size_t len = size * count;
    long status = 0;

    c->heard_ms = clock_mono_ms();
    if (c->request->take && curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 200) {
        c->stopped = !c->request->take(c->request->arg, data, len);
        return c->stopped ? 0 : len; /* 0 ends the transfer */
    }
    return add_body(c, data, len) ? len : 0;
}

static size_t take_field(char *data, size_t size, size_t count, void *arg)
{
    struct caller *c = arg;
    struct span line = {data, size * count};

    if (line.len > HEAD_MAX - c->answer.head.len) {
        c->too_large = true;
        return 0;
    }
    if (line.len > 5 && strncmp(line.data, "HTTP/", 5) == 0) /* 100 Continue and its like came before */
        text_clear(&c->answer.head);
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (line.len > 0) {
        text_append_span(&c->answer.head, line);
        text_append_char(&c->answer.head, '\n');
    }
    return size * count;
}

/* libcurl asks at least every second whether to go on; its own limit of speed counts bytes a second, and a heartbeat is none. */
static int is_silent(void *arg, curl_off_t a, curl_off_t b, curl_off_t x, curl_off_t y)
{
    const struct caller *c = arg;

    return clock_mono_ms() - c->heard_ms > (int64_t)c->request->silence_s * 1000;
}

void caller_answer_done(struct caller_answer *answer)
{
    text_done(&answer->head);
    text_done(&answer->body);
    answer->status = 0;
}

struct span caller_answer_field(const struct caller_answer *answer, const char *name)
{
    struct span rest = text_span(&answer->head), line, key;

    while (rest.len > 0 && span_cut(&rest, '\n', &line))
        if (span_cut(&line, ':', &key) && span_ieq(key, span_of(name)))
            return span_trim(line);
    return (struct span){"", 0};
}

/* ---- what is sent ---- */
#define SET(option, value) (curl_easy_setopt(c->easy, option, value) == CURLE_OK)

static bool set_peer(struct caller *c)
{
    return SET(CURLOPT_PROTOCOLS_STR, c->origin[4] == 's' ? "https" : "http") && https_secure(c->easy, c->ca_file) &&
           (!c->socket_path || SET(CURLOPT_UNIX_SOCKET_PATH, c->socket_path)) &&
           (!c->certificate || (SET(CURLOPT_SSLCERT, c->certificate) && SET(CURLOPT_SSLKEY, c->key))) &&
           SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_PROXY, "") && SET(CURLOPT_NOPROXY, "") &&
           SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) && SET(CURLOPT_USERAGENT, "bailiff/" BAILIFF_VERSION);
}

static bool set_limits(struct caller *c, const struct caller_request *r)
{
    bool stream = r->take != NULL;

    return SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) &&
           SET(CURLOPT_TIMEOUT_MS, stream ? 0L : (long)(r->timeout_ms ? r->timeout_ms : TIMEOUT_MS)) &&
           SET(CURLOPT_NOPROGRESS, stream && r->silence_s ? 0L : 1L) && SET(CURLOPT_XFERINFOFUNCTION, is_silent) &&
           SET(CURLOPT_XFERINFODATA, c) && SET(CURLOPT_TCP_KEEPALIVE, 1L) && SET(CURLOPT_TCP_KEEPIDLE, 30L) &&
           SET(CURLOPT_TCP_KEEPINTVL, 10L);
}

static bool add_field(struct caller *c, const char *field)
{
    struct curl_slist *longer = curl_slist_append(c->fields, field);

    if (longer)
        c->fields = longer;
    return longer != NULL;
}

static bool set_head(struct caller *c, const struct caller_request *r)
{
    curl_slist_free_all(c->fields);
    c->fields = NULL;
    /* "Name:" takes a field out that libcurl would send of itself */
    if (!add_field(c, r->body ? "Content-Type: application/json" : "Content-Type:") || !add_field(c, "Expect:") ||
        (c->bearer && !add_field(c, c->bearer)))
        return false;
    for (size_t i = 0; i < r->field_count; i++)
        if (!add_field(c, r->fields[i]))
            return false;
    return SET(CURLOPT_HTTPHEADER, c->fields);
}

static bool set_request(struct caller *c, const struct caller_request *r, const char *url)
{
    const char *body = r->body ? r->body : strcmp(r->method, "POST") == 0 ? "" : NULL;

    if (body ? !SET(CURLOPT_POSTFIELDSIZE, (long)strlen(body)) || !SET(CURLOPT_POSTFIELDS, body)
             : !SET(CURLOPT_HTTPGET, 1L))
        return false;
    return SET(CURLOPT_URL, url) && SET(CURLOPT_CUSTOMREQUEST, r->method) && SET(CURLOPT_WRITEFUNCTION, take_body) &&
           SET(CURLOPT_HEADERFUNCTION, take_field) && SET(CURLOPT_WRITEDATA, c) && SET(CURLOPT_HEADERDATA, c) &&
           SET(CURLOPT_ERRORBUFFER, c->error);
}

static bool is_plain(struct caller *c)
{
    char *scheme = NULL;

    return curl_easy_getinfo(c->easy, CURLINFO_SCHEME, &scheme) == CURLE_OK && scheme &&
           strcasecmp(scheme, "http") == 0;
}

static enum caller_end judge(struct caller *c, CURLcode code, struct fault *fault)
{
    const char *what = c->error[0] ? c->error : curl_easy_strerror(code);
    curl_off_t sent = 0;

    if (code == CURLE_OK)
        return CALLER_ANSWERED;
    if (c->stopped || c->too_large) {
        fault_set(fault, FAULT_TOO_LARGE, "the answer is larger than the %zu bytes that are read at most", c->body_max);
        return CALLER_REFUSED;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        fault_unavailable(fault, 0, "nothing came for %u s", c->request->silence_s);
    else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        fault_unavailable(fault, 0, "%s; the CA that its certificate is checked by is named by --ca or ca_file", what);
    else if (code == CURLE_GOT_NOTHING && is_plain(c))
        fault_unavailable(fault, 0, "%s; if it speaks HTTPS, its address begins with https://", what);
    else
        fault_unavailable(fault, 0, "%s", what);
    /* APPCONNECT_TIME is when TLS was ready, PRETRANSFER_TIME when the request could go out. */
    (void)curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    return sent > 0 ? CALLER_BROKEN : CALLER_UNREACHED;
}

enum caller_end caller_send(struct caller *c, const struct caller_request *request, struct caller_answer *ret,
                            struct fault *fault)
{
    own(freep) char *url = xprintf("%s%s", c->origin, request->path);
    enum caller_end end;
    long status = 0;

    caller_answer_done(&c->answer);
    c->request = request;
    c->body_max = request->body_max ? request->body_max : CALLER_BODY_MAX;
    c->too_large = c->stopped = false;
    c->error[0] = '\0';
    c->heard_ms = clock_mono_ms();
    curl_easy_reset(c->easy);
    if (!set_peer(c) || !set_limits(c, request) || !set_head(c, request) || !set_request(c, request, url)) {
        fault_internal(fault, "libcurl cannot prepare a request to %s", url);
        return CALLER_REFUSED;
    }
    CURLcode code = curl_easy_perform(c->easy);
    end = judge(c, code, fault);
    c->request = NULL;
    if (end != CALLER_ANSWERED)
        return end;
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    c->answer.status = (int)status;
    *ret = c->answer;
    c->answer = (struct caller_answer){0};
    return end;
}

/* ---- life ---- */
void caller_free(struct caller *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->fields);
    caller_answer_done(&c->answer);
    if (c->bearer)
        explicit_bzero(c->bearer, strlen(c->bearer));
    free(c->origin);
    free(c->socket_path);
    free(c->ca_file);
    free(c->certificate);
    free(c->key);
    free(c->bearer);
    free(c);
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

bool caller_new(const struct caller_options *options, struct caller **ret_caller, struct fault *fault)
{
    own(caller_freep) struct caller *c = xcalloc(1, sizeof(*c));
    const char *wrong = caller_url_fault(options->url);
    bool local = strncmp(options->url, "unix:", 5) == 0;

    if (wrong)
        return fault_set(fault, FAULT_INVALID, "\"%s\" cannot be called: %s.", options->url, wrong);
    if (options->token && !text_is_visible_ascii(span_of(options->token)))
        return fault_set(fault, FAULT_INVALID,
                         "The token is none: it is empty, or has blanks or odd characters in it.");
    c->origin = xstrdup(local ? "http://localhost" : options->url);
    for (size_t len = strlen(c->origin); len > 0 && c->origin[len - 1] == '/'; len--)
        c->origin[len - 1] = '\0';
    c->socket_path = local ? xstrdup(options->url + 5) : NULL;
    c->ca_file = copy(options->ca_file);
    c->certificate = copy(options->certificate);
    c->key = copy(options->key);
    c->bearer = options->token ? xprintf("Authorization: Bearer %s", options->token) : NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(c->easy = curl_easy_init()))
        return fault_internal(fault, "libcurl cannot be initialized");
    *ret_caller = give(c);
    return true;
}
