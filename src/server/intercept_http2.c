/* What libh2o's HTTP/2 reads too generously, in its place, as intercept.c does it for HTTP/1.
 *
 * libh2o 2.2.5 has no limit on the number of header fields: 16 KiB of references into the table become megabytes, and it collects a head
 * over any number of frames. Of each Cache-Digest among them it makes another quarter of a megabyte; fields behind a body it adds to those
 * before it, where nobody can tell them from what a proxy said; and of each frame that it does not know it writes a line to stderr. */
#include <dlfcn.h>

#include "server/hpack.h"
#include "server/internal.h"

/* libh2o's own layouts, from a header of it that cannot be included. */
struct st_h2o_http2_frame_t {
    uint32_t length;
    uint8_t type, flags;
    uint32_t stream_id;
    const uint8_t *payload;
};
struct st_h2o_http2_headers_payload_t {
    h2o_http2_priority_t priority;
    const uint8_t *headers;
    size_t headers_len;
};

ssize_t h2o_http2_decode_frame(struct st_h2o_http2_frame_t *frame, const uint8_t *src, size_t len,
                               const h2o_http2_settings_t *host_settings, const char **err_desc);
void h2o_http2_stream_reset(struct st_h2o_http2_conn_t *conn, struct st_h2o_http2_stream_t *stream);
int h2o_hpack_parse_headers(h2o_req_t *req, struct st_h2o_hpack_header_table_t *table, const uint8_t *src, size_t len,
                            int *pseudo_headers, size_t *content_length, struct st_h2o_cache_digests_t **digests,
                            const char **err_desc);
int h2o_http2_decode_headers_payload(struct st_h2o_http2_headers_payload_t *payload,
                                     const struct st_h2o_http2_frame_t *frame, const char **err_desc);

enum {
    TYPE_PING = 0x6,
    TYPE_LAST = 0x9, /* CONTINUATION; above it are extensions */
    FLAG_ACK = 0x1,
    FLAG_END_STREAM = 0x1,
    FLAG_END_HEADERS = 0x4,
    FLAG_PADDED = 0x8,
    FLAG_PRIORITY = 0x20,
    /* A few more than are taken, so that a slip is answered like one (request.c: 64 fields); a connection that sends more is ended. */
    FIELDS_MAX = 100,
    PRIORITY_SIZE = 5,
    FRAME_HEADER_SIZE = 9,
    FLAGS_AT = 4,
};

/* RFC 9113 §4.1. An extension's frame is passed over (§5.5): it becomes the answer to a ping that we never sent. */
ssize_t h2o_http2_decode_frame(struct st_h2o_http2_frame_t *frame, const uint8_t *src, size_t len,
                               const h2o_http2_settings_t *host_settings, const char **err_desc)
{
    static const uint8_t pong[8];

    if (len < FRAME_HEADER_SIZE)
        return H2O_HTTP2_ERROR_INCOMPLETE;
    uint32_t length = (uint32_t)src[0] << 16 | (uint32_t)src[1] << 8 | src[2];
    uint32_t stream = (uint32_t)src[5] << 24 | (uint32_t)src[6] << 16 | (uint32_t)src[7] << 8 | src[8];
    if (length > host_settings->max_frame_size)
        return H2O_HTTP2_ERROR_FRAME_SIZE;
    if (len < FRAME_HEADER_SIZE + length)
        return H2O_HTTP2_ERROR_INCOMPLETE;
    *frame = (struct st_h2o_http2_frame_t){length, src[3], src[FLAGS_AT], stream & 0x7fffffff, src + FRAME_HEADER_SIZE};
    if (frame->type > TYPE_LAST)
        *frame = (struct st_h2o_http2_frame_t){sizeof(pong), TYPE_PING, FLAG_ACK, 0, pong};
    return (ssize_t)(FRAME_HEADER_SIZE + length);
}

/* Called when a client aborts a stream, or makes us abort one. Either costs the client next to nothing, and us a request. */
void h2o_http2_stream_reset(struct st_h2o_http2_conn_t *conn, struct st_h2o_http2_stream_t *stream)
{
    struct connection *c = connection_of((h2o_conn_t *)conn); /* its first member */
    struct loop *loop = c->loop;

    if (++c->resets == loop->server->options.http2_resets_max + 1) {
        record_refusal(loop, REFUSED_RESETS, &c->client, "limits.http2_resets", NULL, 0);
        connection_reset(c);
    }
    loop->http2_stream_reset(conn, stream);
}

/* A head is whole when it is read, and the frame that holds it is the first thing in the buffer. */
static bool announces_body(const struct connection *c)
{
    const h2o_buffer_t *input = c->socket->input;

    return input->size < FRAME_HEADER_SIZE || !(input->bytes[FLAGS_AT] & FLAG_END_STREAM);
}

int h2o_hpack_parse_headers(h2o_req_t *req, struct st_h2o_hpack_header_table_t *table, const uint8_t *src, size_t len,
                            int *pseudo_headers, size_t *content_length, struct st_h2o_cache_digests_t **digests,
                            const char **err_desc)
{
    struct connection *c = connection_of(req->conn);
    size_t before = req->headers.size;

    if (!hpack_has_at_most(src, len, FIELDS_MAX)) {
        *err_desc = "too many header fields";
        record_refusal(c->loop, REFUSED_PARSER, &c->client, "The request has more than 100 header fields.", NULL, 0);
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    }
    int verdict = c->loop->hpack_parse_headers(req, table, src, len, pseudo_headers, content_length, NULL, err_desc);
    if (!pseudo_headers) { /* trailers: RFC 9110 §6.5.1 lets us drop them */
        req->headers.size = before;
        return verdict;
    }
    c->to_body = verdict == 0 && announces_body(c) ? http2_body_begins(req, c) : NULL;
    if (!c->to_body)
        return verdict;
    *err_desc = "the body may not come"; /* answered at once, as a field with a bad character is: refusal.c */
    return H2O_HTTP2_ERROR_INVALID_HEADER_CHAR;
}

static int refuse_frame(const char **err_desc, const char *reason, int error)
{
    *err_desc = reason;
    return error;
}

static h2o_http2_priority_t read_priority(const uint8_t *at)
{
    uint32_t word = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];

    return (h2o_http2_priority_t){
        .exclusive = word >> 31, .dependency = word & 0x7fffffff, .weight = (uint16_t)(at[4] + 1)};
}

/* RFC 9113 §6.2. A head must end in the frame it begins in: a frame holds 16 KiB, which is as much as a head may have. */
int h2o_http2_decode_headers_payload(struct st_h2o_http2_headers_payload_t *payload,
                                     const struct st_h2o_http2_frame_t *frame, const char **err_desc)
{
    const uint8_t *at = frame->payload, *end = at + frame->length;

    if (frame->stream_id == 0)
        return refuse_frame(err_desc, "HEADERS of no stream", H2O_HTTP2_ERROR_PROTOCOL);
    if (!(frame->flags & FLAG_END_HEADERS))
        return refuse_frame(err_desc, "the head is larger than 16 KiB", H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM);
    if (frame->flags & FLAG_PADDED) {
        if (at == end || at[0] > end - at - 1)
            return refuse_frame(err_desc, "more padding than frame", H2O_HTTP2_ERROR_PROTOCOL);
        end -= *at++;
    }
    payload->priority = h2o_http2_default_priority;
    if (frame->flags & FLAG_PRIORITY) {
        if (end - at < PRIORITY_SIZE)
            return refuse_frame(err_desc, "too short a HEADERS frame", H2O_HTTP2_ERROR_FRAME_SIZE);
        payload->priority = read_priority(at);
        at += PRIORITY_SIZE;
    }
    payload->headers = at;
    payload->headers_len = (size_t)(end - at);
    return 0;
}

/* Ours are found first, and the library's behind them. */
static bool find(const char *name, const void *ours, void **ret_original)
{
    *ret_original = dlsym(RTLD_NEXT, name);
    return *ret_original && *ret_original != ours && dlsym(RTLD_DEFAULT, name) == ours;
}

bool intercept_http2_works(struct loop *loop)
{
    void *unused;

    return find("h2o_http2_decode_frame", h2o_http2_decode_frame, &unused) &&
           find("h2o_http2_stream_reset", h2o_http2_stream_reset, (void **)&loop->http2_stream_reset) &&
           find("h2o_hpack_parse_headers", h2o_hpack_parse_headers, (void **)&loop->hpack_parse_headers) &&
           find("h2o_http2_decode_headers_payload", h2o_http2_decode_headers_payload, &unused);
}
